use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use starttls::Policy;
use starttls::mail::{Address, LineEnds, Opening};
use starttls::smtp::{self, Domain};
use starttls_common::Timeouts;

use super::connection::mail;
use super::*;
use crate::socket::Socket;

/// Answers each write with the next of its lines, and remembers the writes.
#[derive(Clone, Default)]
struct Script {
    acknowledged: Rc<Cell<bool>>,
    answers: Rc<RefCell<VecDeque<&'static str>>>,
    writes: Rc<RefCell<Vec<String>>>,
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(self.acknowledged.take(), "asked for at once before each read");
        let answer = self.answers.borrow_mut().pop_front().unwrap_or_default();
        buffer[..answer.len()].copy_from_slice(answer.as_bytes());
        Ok(answer.len())
    }
}

impl Write for Script {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.writes.borrow_mut().push(String::from_utf8_lossy(octets).into_owned());
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Script {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        self.read(buffer).map(Some)
    }

    fn acknowledge(&self) {
        self.acknowledged.set(true);
    }

    fn set_timeout(&self, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn one_write_a_flight() {
    let script = Script::default();
    script.answers.borrow_mut().extend([
        "220 x\r\n",
        "250 x\r\n",
        "250 x\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 ok\r\n",
        "221 bye\r\n",
    ]);
    let mut driver = Driver::new(script.clone(), Timeouts::default(), Silent);
    let mut opening = Opening::<Smtp>::new(Domain::LOCALHOST, Policy::Opportunistic);
    for expected in [Opened::Plaintext, Opened::Ready] {
        let opened = driver.run(&mut opening, |_, event, _| Ok(Welcome::default().note(event)));
        assert_eq!(opened.expect("opened"), Some(expected));
    }
    let mut outbound = opening.into_outbound(LineEnds::Strict).expect("open");
    let to = [Address::new("a@b").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut job = outbound.send(&envelope).expect("in order");
    let receipt = mail(&mut driver, &mut job, &envelope, &b"a\r\n.b"[..]).expect("sent");
    assert!(receipt.is_complete());
    let mut quit = outbound.quit().expect("in order");
    driver
        .run(&mut quit, |_, event, _| {
            Ok(if event.is_last() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .expect("left");
    assert_eq!(
        *script.writes.borrow(),
        [
            "EHLO [127.0.0.1]\r\n",
            "EHLO [127.0.0.1]\r\n",
            "MAIL FROM:<>\r\n",
            "RCPT TO:<a@b>\r\n",
            "DATA\r\n",
            "a\r\n..b\r\n.\r\n",
            "QUIT\r\n"
        ]
    );
}

#[test]
fn a_group_of_commands_gets_its_answers_in_one_write() {
    let script = Script::default();
    script.answers.borrow_mut().push_back("EHLO x\r\nNOOP\r\nNOOP\r\nQUIT\r\n");
    let mut driver = Driver::new(script.clone(), Timeouts::default(), Silent);
    let config = starttls::server::Config::default();
    let mut server = smtp::Server::new(Domain::LOCALHOST, config);
    let quit = driver.run(&mut server, |_, event, _| match event {
        starttls::server::Event::Quit => Ok(ControlFlow::Break(())),
        _ => Ok(ControlFlow::Continue(())),
    });
    assert_eq!(quit.expect("left"), Some(()));
    let writes = script.writes.borrow();
    assert_eq!(writes.len(), 2, "the greeting, and the rest: {writes:?}");
    assert!(writes[1].ends_with("250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n221 2.0.0 Goodbye\r\n"));
}

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use starttls::client;
use starttls::mail::Address;
use starttls::smtp;

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
    const ENCRYPTED: bool = false;

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
    let mut silent = Silent;
    let mut driver = Driver::new(script.clone(), Timeouts::default(), &mut silent);
    let mut client = smtp::Client::new(Domain::LOCALHOST, Policy::Opportunistic);
    driver
        .run(&mut client, |_, event, _| match event {
            client::Event::Plaintext(_) => Ok(ControlFlow::Break(())),
            _ => Ok(ControlFlow::Continue(())),
        })
        .expect("plaintext");
    let plaintext = client.into_plaintext(driver.unread()).expect("plaintext");
    let mut session = Session::<_, Smtp>::new(plaintext);
    job(&mut driver, &mut session.hello(Domain::LOCALHOST).expect("in order")).expect("greeted");
    let to = [Address::new("a@b").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mut exchange = session.send(&envelope).expect("in order");
    let receipt = mail(&mut driver, &mut exchange, &envelope, &b"a\r\n.b"[..]).expect("sent");
    assert!(receipt.is_complete());
    job(&mut driver, &mut session.quit().expect("in order")).expect("left");
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
    let mut silent = Silent;
    let mut driver = Driver::new(script.clone(), Timeouts::default(), &mut silent);
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

use super::*;

/// Answers each line with the same line. `!` fails the connection, `?` needs a flush, `*` is an event, `#`
/// is dropped.
#[derive(Debug, Default)]
struct Echo {
    line: Option<u8>,
    failed: Option<Error>,
    needs_flush: bool,
    quits: bool,
}

impl Machine for Echo {
    type Event<'i> = u8;

    const MAX_INPUT: usize = 4;
    const MAX_OUTPUT: usize = 2;

    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Step<u8>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if let Some(line) = self.line {
            let [first, second, ..] = output else {
                return Err(Error::OutputTooSmall { needed: 2 });
            };
            (*first, *second) = (line, b'\n');
            self.line = None;
            self.needs_flush = line == b'?';
            return Ok(Step::Write(2));
        }
        while let [b'#', rest @ ..] = *input {
            *input = rest;
        }
        let [line, b'\n', rest @ ..] = *input else { return Ok(Step::Read) };
        *input = rest;
        match *line {
            b'*' => return Ok(Step::Event(*line)),
            b'!' => {
                self.failed = Some(Error::Syntax);
                return Err(Error::Syntax);
            }
            line => self.line = Some(line),
        }
        self.step(input, output)
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        if self.quits { Ok(()) } else { Err(Error::Closed) }
    }

    fn timed_out(&mut self) -> Error {
        *self.failed.get_or_insert(Error::TimedOut)
    }

    fn wait(&self) -> Option<Duration> {
        Some(10 * SECOND)
    }

    fn needs_flush(&self) -> bool {
        self.needs_flush
    }

    fn farewell(&self, output: &mut [u8]) -> Result<usize, Error> {
        // With no room there is no farewell: the mistake is the caller's, not the peer's.
        if output.len() < 2 {
            return Ok(0);
        }
        output[..2].copy_from_slice(b"!\n");
        Ok(2)
    }
}

const SECOND: Duration = Duration::from_secs(1);
const START: Duration = Duration::from_secs(1_000_000);

type Small = Driver<Buffer<8>, Buffer<4>>;

use crate::Buffer;

fn driver(received: &[u8]) -> Small {
    let mut driver = Driver::new(Buffer::new(), Buffer::new());
    assert_eq!(driver.receive(received), received.len());
    driver
}

fn next<'d>(driver: &'d mut Small, echo: &mut Echo) -> Next<'d, u8> {
    driver.next(echo, START)
}

#[test]
fn several_steps_share_one_write() {
    let (mut driver, mut echo) = (driver(b"a\nb\nc\n"), Echo::default());
    // The unsent buffer holds four bytes.
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"a\nb\n"));
    driver.sent(3);
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"\n"));
    driver.sent(1);
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"c\n"));
    driver.sent(2);
    assert_eq!(next(&mut driver, &mut echo), Next::Read);
    assert_eq!(driver.unread(), b"");
}

#[test]
fn output_that_needs_a_flush_precedes_the_event() {
    let (mut driver, mut echo) = (driver(b"?\n*\n"), Echo::default());
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"?\n"));
    driver.sent(2);
    assert_eq!(next(&mut driver, &mut echo), Next::Event { event: b'*', frame: b"*\n" });
    // Without a flush the event precedes the write.
    echo.needs_flush = false;
    assert_eq!(driver.receive(b"a\n*\n"), b"a\n*\n".len());
    assert_eq!(next(&mut driver, &mut echo), Next::Event { event: b'*', frame: b"*\n" });
    assert_eq!(driver.unsent(), b"a\n");
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"a\n"));
}

#[test]
fn single_bytes_do_not_extend_the_wait() {
    let (mut driver, mut echo) = (driver(b""), Echo::default());
    assert_eq!(driver.next(&mut echo, START), Next::Read);
    assert_eq!(driver.deadline(), START + 10 * SECOND);
    assert_eq!(driver.receive(b"a"), b"a".len());
    assert_eq!(driver.next(&mut echo, START + 9 * SECOND), Next::Read);
    assert_eq!(driver.deadline(), START + 10 * SECOND);
    // Dropped bytes do not extend it either.
    assert_eq!(driver.receive(b"#"), b"#".len());
    assert_eq!(driver.next(&mut echo, START + 9 * SECOND), Next::Read);
    assert_eq!(driver.deadline(), START + 10 * SECOND);
    driver.discard_unread();
    assert_eq!(driver.receive(b"#a"), b"#a".len());
    assert_eq!(driver.next(&mut echo, START + 9 * SECOND), Next::Read);
    assert_eq!((driver.deadline(), driver.unread()), (START + 10 * SECOND, &b"a"[..]));
    // A whole line starts a new wait.
    assert_eq!(driver.receive(b"\n"), b"\n".len());
    assert_eq!(driver.next(&mut echo, START + 9 * SECOND), Next::Write(b"a\n"));
    assert_eq!(driver.deadline(), START + 19 * SECOND);
    driver.sent(1);
    assert_eq!(driver.next(&mut echo, START + 18 * SECOND), Next::Write(b"\n"));
    assert_eq!(driver.deadline(), START + 19 * SECOND);
    driver.sent(1);
    assert_eq!(driver.next(&mut echo, START + 18 * SECOND), Next::Read);
    assert_eq!(driver.deadline(), START + 28 * SECOND);
    // The peer gets a farewell.
    assert_eq!(driver.next(&mut echo, START + 28 * SECOND), Next::Write(b"!\n"));
}

#[cfg(feature = "smtp")]
#[test]
fn a_reply_has_one_wait_for_all_lines() {
    use crate::Policy;
    use crate::smtp::{self, Domain};
    let mut driver = Driver::<Buffer<512>>::new(Buffer::new(), Buffer::new());
    let mut client = smtp::Client::new(Domain::LOCALHOST, Policy::Opportunistic);
    let wait = client.wait().expect("a wait for the greeting");
    assert_eq!(driver.next(&mut client, START), Next::Read);
    assert_eq!(driver.deadline(), START + wait);
    assert_eq!(driver.receive(b"220-a\r\n"), b"220-a\r\n".len());
    assert!(matches!(driver.next(&mut client, START + SECOND), Next::Event { .. }));
    assert_eq!(driver.next(&mut client, START + SECOND), Next::Read);
    assert_eq!(driver.deadline(), START + wait, "a line of the same reply");
    assert_eq!(driver.receive(b"220 b\r\n"), b"220 b\r\n".len());
    assert!(matches!(driver.next(&mut client, START + SECOND), Next::Event { .. }));
    assert!(matches!(driver.next(&mut client, START + SECOND), Next::Write(_)));
    driver.sent(usize::MAX);
    assert_eq!(driver.next(&mut client, START + SECOND), Next::Read);
    assert_eq!(driver.deadline(), START + SECOND + wait, "the next reply");
}

#[test]
fn a_frame_larger_than_the_buffer_fails() {
    let (mut driver, mut echo) = (driver(b"abcdefg"), Echo::default());
    assert_eq!(next(&mut driver, &mut echo), Next::Read);
    assert_eq!(driver.receive(b"h"), b"h".len());
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"!\n"));
    assert_eq!(driver.failed(), Some(Error::FrameTooLong));
}

#[test]
fn a_peer_that_does_not_read_gets_no_farewell() {
    let (mut driver, mut echo) = (driver(b"a\n"), Echo::default());
    assert_eq!(driver.next(&mut echo, START), Next::Write(b"a\n"));
    let over = START + 10 * SECOND;
    assert_eq!(driver.next(&mut echo, over), Next::Failed(Error::TimedOut));
    assert_eq!(driver.unsent(), b"");
    assert_eq!(driver.failed(), Some(Error::TimedOut));
}

#[test]
fn limits_shorten_the_wait() {
    let (mut driver, mut echo) = (driver(b""), Echo::default());
    driver.set_limits(driver.limits().with_wait(Some(2 * SECOND)));
    assert_eq!(driver.next(&mut echo, START), Next::Read);
    assert_eq!(driver.deadline(), START + 2 * SECOND);
    driver.set_limits(driver.limits().with_end(Some(START + SECOND)));
    assert_eq!(driver.deadline_of(HANDSHAKE_WAIT, START), START + SECOND);
    assert_eq!(driver.receive(b"*\n"), b"*\n".len());
    assert!(matches!(driver.next(&mut echo, START), Next::Event { .. }));
    assert_eq!(driver.next(&mut echo, START), Next::Read);
    assert_eq!(driver.deadline(), START + SECOND);
    assert_eq!(driver.receive(b"*\n"), b"*\n".len());
    // The driver still handles received bytes, but waits for no more.
    let over = START + SECOND;
    assert!(matches!(driver.next(&mut echo, over), Next::Event { .. }));
    assert_eq!(driver.next(&mut echo, over), Next::Write(b"!\n"));
}

#[test]
fn a_farewell_is_sent_and_reading_continues_for_a_moment() {
    let (mut driver, mut echo) = (driver(b"a\n!\n"), Echo::default());
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"a\n!\n"));
    assert_eq!(driver.failed(), Some(Error::Syntax));
    assert_eq!(driver.deadline(), START + 2 * SECOND);
    driver.sent(4);
    assert_eq!(next(&mut driver, &mut echo), Next::Shutdown);
    let mut reads = 0;
    while next(&mut driver, &mut echo) == Next::Read {
        assert_eq!(driver.receive(b"more\n"), b"more\n".len());
        reads += 1;
    }
    assert_eq!(reads, 62);
    assert_eq!(next(&mut driver, &mut echo), Next::Failed(Error::Syntax));
    assert_eq!(driver.unread(), b"");
}

#[test]
fn lingering_ends_with_the_input_and_with_the_deadline() {
    for over in [false, true] {
        let (mut driver, mut echo) = (driver(b"!\n"), Echo::default());
        assert_eq!(next(&mut driver, &mut echo), Next::Write(b"!\n"));
        driver.sent(2);
        assert_eq!(next(&mut driver, &mut echo), Next::Shutdown);
        assert_eq!(next(&mut driver, &mut echo), Next::Read);
        let now = if over {
            START + 2 * SECOND
        } else {
            driver.received(0);
            START
        };
        assert_eq!(driver.next(&mut echo, now), Next::Failed(Error::Syntax));
    }
}

#[test]
fn the_machine_decides_whether_the_input_may_end() {
    for quits in [false, true] {
        let (mut driver, mut echo) = (driver(b"a\n"), Echo { quits, ..Echo::default() });
        driver.received(0);
        // Input before the end is still answered.
        assert_eq!(next(&mut driver, &mut echo), Next::Write(b"a\n"));
        driver.sent(2);
        if quits {
            assert_eq!(next(&mut driver, &mut echo), Next::Ended);
        } else {
            assert_eq!(next(&mut driver, &mut echo), Next::Write(b"!\n"));
            driver.lost();
            assert_eq!(next(&mut driver, &mut echo), Next::Failed(Error::Closed));
        }
    }
}

#[test]
fn the_first_error_stays() {
    let (mut driver, mut echo) = (driver(b"!\n"), Echo::default());
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"!\n"));
    driver.sent(0);
    assert_eq!(next(&mut driver, &mut echo), Next::Failed(Error::Syntax));
    let (mut driver, mut echo) = (self::driver(b"a\n"), Echo::default());
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"a\n"));
    driver.sent(0);
    assert_eq!(next(&mut driver, &mut echo), Next::Failed(Error::Closed));
}

#[test]
fn a_caller_can_correct_its_mistakes() {
    let (mut driver, mut echo) =
        (Driver::new(Buffer::<8>::new(), Buffer::<1>::new()), Echo::default());
    assert_eq!(driver.receive(b"a\n"), b"a\n".len());
    let too_small = Error::OutputTooSmall { needed: 2 };
    assert_eq!(driver.next(&mut echo, START), Next::Failed(too_small));
    assert_eq!(driver.failed(), None);
}

#[test]
fn the_callers_own_bytes_are_sent_with_the_rest() {
    let (mut driver, mut echo) = (driver(b"a\n"), Echo::default());
    let written = driver.write_with(2, |room| {
        room[..2].copy_from_slice(b"x\n");
        Ok::<_, Error>(2)
    });
    assert_eq!(written, Ok(2));
    assert!(driver.is_full());
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"x\na\n"));
    driver.sent(4);
    assert_eq!(driver.write_with(2, |_| Err(Error::OutOfOrder)), Err(Error::OutOfOrder));
    assert_eq!(driver.unsent(), b"");
}

#[test]
fn receive_takes_only_what_fits() {
    let mut driver = driver(b"123456");
    assert_eq!(driver.receive(b"789"), 2);
    assert_eq!(driver.unread(), b"12345678");
    assert_eq!(driver.room(), b"");
    driver.discard_unread();
    assert_eq!(driver.unread(), b"");
    driver.room()[0] = b'1';
    driver.received(1);
    assert_eq!(driver.unread(), b"1");
}

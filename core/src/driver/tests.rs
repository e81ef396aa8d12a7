use super::*;

/// Answers each line with the same line; `!` ends the connection, `?` needs a flush, `*` is an event.
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
        // A caller's mistake is none of the peer's business.
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
fn what_several_steps_write_leaves_in_one_write() {
    let (mut driver, mut echo) = (driver(b"a\nb\nc\n"), Echo::default());
    // As much as fits.
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
fn what_has_to_arrive_first_is_sent_first() {
    let (mut driver, mut echo) = (driver(b"?\n*\n"), Echo::default());
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"?\n"));
    driver.sent(2);
    assert_eq!(next(&mut driver, &mut echo), Next::Event { event: b'*', frame: b"*\n" });
    // An event of a machine that needs no flush does not wait.
    echo.needs_flush = false;
    driver.receive(b"a\n*\n");
    assert_eq!(next(&mut driver, &mut echo), Next::Event { event: b'*', frame: b"*\n" });
    assert_eq!(driver.unsent(), b"a\n");
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"a\n"));
}

#[test]
fn a_peer_that_drips_gains_no_time() {
    let (mut driver, mut echo) = (driver(b""), Echo::default());
    assert_eq!(driver.next(&mut echo, START), Next::Read);
    assert_eq!(driver.deadline(), START + 10 * SECOND);
    driver.receive(b"a");
    assert_eq!(driver.next(&mut echo, START + 9 * SECOND), Next::Read);
    assert_eq!(driver.deadline(), START + 10 * SECOND);
    // A whole line begins a new wait.
    driver.receive(b"\n");
    assert_eq!(driver.next(&mut echo, START + 9 * SECOND), Next::Write(b"a\n"));
    assert_eq!(driver.deadline(), START + 19 * SECOND);
    driver.sent(1);
    assert_eq!(driver.next(&mut echo, START + 18 * SECOND), Next::Write(b"\n"));
    assert_eq!(driver.deadline(), START + 19 * SECOND);
    driver.sent(1);
    assert_eq!(driver.next(&mut echo, START + 18 * SECOND), Next::Read);
    assert_eq!(driver.deadline(), START + 28 * SECOND);
    // It is told why.
    assert_eq!(driver.next(&mut echo, START + 28 * SECOND), Next::Write(b"!\n"));
}

#[test]
fn a_peer_that_does_not_read_is_told_nothing() {
    let (mut driver, mut echo) = (driver(b"a\n"), Echo::default());
    assert_eq!(driver.next(&mut echo, START), Next::Write(b"a\n"));
    let over = START + 10 * SECOND;
    assert_eq!(driver.next(&mut echo, over), Next::Failed(Error::TimedOut));
    assert_eq!(driver.unsent(), b"");
    assert_eq!(driver.failed(), Some(Error::TimedOut));
}

#[test]
fn limits_count() {
    let (mut driver, mut echo) = (driver(b""), Echo::default());
    driver.set_limits(driver.limits().with_wait(Some(2 * SECOND)));
    assert_eq!(driver.next(&mut echo, START), Next::Read);
    assert_eq!(driver.deadline(), START + 2 * SECOND);
    driver.set_limits(driver.limits().with_end(Some(START + SECOND)));
    assert_eq!(driver.deadline_of(HANDSHAKE_WAIT, START), START + SECOND);
    driver.receive(b"*\n");
    assert!(matches!(driver.next(&mut echo, START), Next::Event { .. }));
    assert_eq!(driver.next(&mut echo, START), Next::Read);
    assert_eq!(driver.deadline(), START + SECOND);
    driver.receive(b"*\n");
    // What is there is still read, but nothing more is waited for.
    let over = START + SECOND;
    assert!(matches!(driver.next(&mut echo, over), Next::Event { .. }));
    assert_eq!(driver.next(&mut echo, over), Next::Write(b"!\n"));
}

#[test]
fn last_words_are_sent_and_the_peer_is_listened_to_for_a_moment() {
    let (mut driver, mut echo) = (driver(b"a\n!\n"), Echo::default());
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"a\n!\n"));
    assert_eq!(driver.failed(), Some(Error::Syntax));
    assert_eq!(driver.deadline(), START + 2 * SECOND);
    driver.sent(4);
    assert_eq!(next(&mut driver, &mut echo), Next::Shutdown);
    let mut reads = 0;
    while next(&mut driver, &mut echo) == Next::Read {
        driver.receive(b"more\n");
        reads += 1;
    }
    assert_eq!(reads, 62);
    assert_eq!(next(&mut driver, &mut echo), Next::Failed(Error::Syntax));
    assert_eq!(driver.unread(), b"");
}

#[test]
fn a_moment_ends_with_the_peer_and_with_the_time() {
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
fn the_machine_knows_whether_the_peer_may_leave() {
    for quits in [false, true] {
        let (mut driver, mut echo) = (driver(b"a\n"), Echo { quits, ..Echo::default() });
        driver.received(0);
        // What was said before the end is answered.
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
fn what_failed_first_counts() {
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
fn a_caller_can_mend_its_mistakes() {
    let (mut driver, mut echo) =
        (Driver::new(Buffer::<8>::new(), Buffer::<1>::new()), Echo::default());
    driver.receive(b"a\n");
    let too_small = Error::OutputTooSmall { needed: 2 };
    assert_eq!(driver.next(&mut echo, START), Next::Failed(too_small));
    assert_eq!(driver.failed(), None);
}

#[test]
fn what_the_caller_says_is_sent_with_the_rest() {
    let (mut driver, mut echo) = (driver(b"a\n"), Echo::default());
    let said = driver.write_with(2, |room| {
        room[..2].copy_from_slice(b"x\n");
        Ok::<_, Error>(2)
    });
    assert_eq!(said, Ok(2));
    assert!(driver.is_full());
    assert_eq!(next(&mut driver, &mut echo), Next::Write(b"x\na\n"));
    driver.sent(4);
    assert_eq!(driver.write_with(2, |_| Err(Error::OutOfOrder)), Err(Error::OutOfOrder));
    assert_eq!(driver.unsent(), b"");
}

#[test]
fn no_more_is_received_than_fits() {
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

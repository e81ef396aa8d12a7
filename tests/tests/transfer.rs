//! The receiver gets exactly what was sent, for all messages, by `DATA` and in chunks of every size.

use proptest::prelude::*;

use starttls::lmtp::Lmtp;
use starttls::mail::receiver::{self, Limits};
use starttls::mail::session::{Event, Exchange, Fate};
use starttls::mail::{Address, Envelope, LineEnds, Receiver, Session};
use starttls::smtp::{Dialect, Domain, Smtp};
use starttls::{Machine, Policy, Step, Tls, Verification};
use starttls_tests::mended;

/// Sequences that mail servers interpret differently, and lines of every length up to the limit.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            &b"\r\n"[..], b".", b"a", b"\r\n.\r\n", b"\r", b"\r\r\n", b"\n", b"\xff", b"BDAT 1 LAST\r\n",
        ])
        .prop_map(<[u8]>::to_vec),
        1 => (0_usize..=990).prop_map(|length| [&b"\r\n"[..], &vec![b'x'; length], b"\r\n"].concat()),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

struct Transfer<'m> {
    message: &'m [u8],
    in_chunks: bool,
    /// The size of an output buffer, in bytes.
    room: usize,
    /// The bytes that the network delivers at a time.
    cut: usize,
}

/// The two ends, and the bytes on the wire.
struct Ends<D> {
    session: Session<Tls, D>,
    receiver: Receiver<'static, Tls, D>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    arrived: Vec<u8>,
    whole: usize,
}

impl<D: Dialect> Ends<D> {
    fn new() -> Self {
        let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
        let server = Tls::implicit_server();
        let mut session = Session::new(tls);
        session.set_line_ends(LineEnds::Normalize);
        Self {
            session,
            receiver: Receiver::new(server, Domain::LOCALHOST, Limits::default()),
            to_server: Vec::new(),
            to_client: Vec::new(),
            arrived: Vec::new(),
            whole: 0,
        }
    }

    /// The server's turn.
    fn serve(&mut self, cut: usize) {
        let mut received = Vec::new();
        let mut output = [0; 512];
        let sent = std::mem::take(&mut self.to_server);
        for piece in std::iter::once(&[][..]).chain(sent.chunks(cut)) {
            received.extend_from_slice(piece);
            let mut input = &received[..];
            loop {
                match self.receiver.step(&mut input, &mut output).expect("a client of ours") {
                    Step::Read | Step::Event(receiver::Event::Quit) => break,
                    Step::Write(n) => self.to_client.extend_from_slice(&output[..n]),
                    Step::Event(receiver::Event::Body(piece)) => self.arrived.extend(piece),
                    Step::Event(receiver::Event::Message { .. }) => {
                        self.whole += 1;
                        self.receiver.accept().expect("asked");
                    }
                    Step::Event(receiver::Event::Mail(_) | receiver::Event::Recipient(_)) => {
                        self.receiver.accept().expect("asked");
                    }
                    Step::Event(_) => {}
                }
            }
            let left = input.len();
            received.drain(..received.len() - left);
        }
        assert!(received.is_empty(), "a client sends whole lines");
    }

    /// Passes on as much of the message as the server allows.
    fn hand_over(
        exchange: &mut Exchange<'_, '_, Tls, D>,
        transfer: &Transfer<'_>,
        rest: &mut &[u8],
        sent: &mut Vec<u8>,
    ) {
        let mut output = vec![0; transfer.room];
        while !rest.is_empty() {
            let written = if transfer.in_chunks {
                exchange.chunk(rest, &mut output)
            } else {
                exchange.body(rest, &mut output)
            };
            let written = written.expect("mended");
            if written == 0 && !rest.is_empty() {
                return;
            }
            sent.extend_from_slice(&output[..written]);
        }
        exchange.finish().expect("mended");
    }

    fn run(&mut self, transfer: &Transfer<'_>) {
        let to = [Address::new("a@example.org").expect("valid"); 2];
        let envelope = Envelope::new(None, &to).expect("recipients");
        let mut rest = transfer.message;
        for job in 0..3 {
            let mut received = Vec::new();
            'job: loop {
                let mut exchange = match job {
                    0 => self.session.hello(Domain::LOCALHOST),
                    1 if transfer.in_chunks => self.session.send_chunks(&envelope),
                    1 => self.session.send(&envelope),
                    _ => self.session.quit(),
                }
                .expect("in order");
                let mut output = [0; 512];
                loop {
                    let mut input = &received[..];
                    let step = exchange.step(&mut input, &mut output).expect("a server of ours");
                    let consumed = received.len() - input.len();
                    let read = step == Step::Read;
                    let mut last = false;
                    match step {
                        Step::Read => {}
                        Step::Write(n) => self.to_server.extend_from_slice(&output[..n]),
                        Step::Event(Event::Body(_) | Event::Chunks) => {
                            Self::hand_over(
                                &mut exchange,
                                transfer,
                                &mut rest,
                                &mut self.to_server,
                            );
                        }
                        Step::Event(event) => {
                            assert!(!matches!(event, Event::Rejected { .. }), "{event:?}");
                            last = event.is_last();
                        }
                    }
                    received.drain(..consumed);
                    if last {
                        assert!(received.is_empty(), "an unsolicited reply");
                        break 'job;
                    }
                    if read {
                        break;
                    }
                }
                self.serve(transfer.cut);
                assert!(!self.to_client.is_empty(), "both wait");
                received.append(&mut self.to_client);
            }
        }
        assert_eq!(self.session.fate(), Fate::Accepted);
    }
}

fn arrives<D: Dialect>(transfer: &Transfer<'_>) -> (Vec<u8>, usize) {
    let mut ends = Ends::<D>::new();
    ends.run(transfer);
    (ends.arrived, ends.whole)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn received_equals_sent(
        message in message(),
        in_chunks: bool,
        room in 34_usize..600,
        cut in 1_usize..200,
    ) {
        let transfer = Transfer { message: &message, in_chunks, room, cut };
        let expected = mended(&message);
        prop_assert_eq!(arrives::<Smtp>(&transfer), (expected.clone(), 1));
        prop_assert_eq!(arrives::<Lmtp>(&transfer), (expected, 2));
    }
}

/// More chunks than may be outstanding at a time.
#[test]
fn many_small_chunks() {
    let message = b"0123456789\r\n".repeat(1000);
    let transfer = Transfer { message: &message, in_chunks: true, room: 40, cut: 4096 };
    assert_eq!(arrives::<Smtp>(&transfer), (message.clone(), 1));
}

//! Moves the body of a mail: sent, received and composed, ours, others' and the least that such work costs.
//!
//! usage: body MODE REPETITIONS          for an instruction counter: bodies of 64 KiB
//!        body MODE (cache|memory)       prints MB/s: bodies of 64 KiB, which stay in the cache, or of 64 MiB

use std::hint::black_box;
use std::io::Cursor;
use std::pin::pin;
use std::process::ExitCode;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding as _};
use mail_builder::MessageBuilder;
use mail_send::SmtpClient;
use memchr::{memchr2_iter, memmem};
use smtp_proto::request::receiver::DataReceiver;
use starttls::mail::message::{Attachment, Encoding, Mailbox, Progress};
use starttls::mail::receiver::{Event, Limits};
use starttls::mail::{Address, Checked, LineEnds, Message, Receiver, Stuffer};
use starttls::smtp::{self, Domain};
use starttls::{Machine, Policy, Step, Tls, Verification, client};

const CACHE: usize = 64 * 1024;
const MEMORY: usize = 64 * 1024 * 1024;

/// How much is read or written at once: what fits into a TLS record.
const PIECE: usize = 16 * 1024;

/// How long rounds are repeated.
const ROUNDS: Duration = Duration::from_millis(700);

/// A line of a text: 76 bytes and CRLF.
const LINE: &[u8; 78] =
    b"The quick brown fox jumps over the lazy dog. Then it sleeps all day as usual\r\n";

/// Lines of 76 bytes, of which every hundredth starts with a dot. The last one ends with CRLF.
fn text(size: usize) -> Vec<u8> {
    let mut text = b"Subject: measured\r\n\r\n".to_vec();
    for n in 0..size / LINE.len() {
        let start = text.len();
        text.extend_from_slice(LINE);
        if n % 100 == 99 {
            text[start] = b'.';
        }
    }
    text
}

/// The text as it follows `DATA`.
fn stuffed(text: &[u8]) -> Vec<u8> {
    let mut wire = text.to_vec();
    for place in memmem::find_iter(text, b"\r\n.").collect::<Vec<_>>().into_iter().rev() {
        wire.insert(place + 2, b'.');
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

/// Bytes of any value, as in a compressed file.
fn file(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..size).map(next).collect()
}

/// A file as an attachment has it.
fn base64_lines(size: usize) -> Option<Vec<u8>> {
    let mut lines = Vec::new();
    for line in file(size / 78 * 57).chunks(57) {
        let mut room = [0; 76];
        lines.extend_from_slice(Base64::encode(line, &mut room).ok()?.as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    Some(lines)
}

/// A client's channel over TLS.
fn channel() -> Option<Tls> {
    let mut client = smtp::Client::new(Domain::LOCALHOST, Policy::Required);
    let mut input = &b"220 a\r\n"[..];
    let mut output = [0; smtp::Client::MAX_OUTPUT];
    for replies in [&b"250-a\r\n250 STARTTLS\r\n"[..], b"220 go\r\n", b""] {
        loop {
            match client.step(&mut input, &mut output).ok()? {
                Step::Read => break,
                Step::Event(client::Event::UpgradeReady) => break,
                _ => {}
            }
        }
        input = if input.is_empty() { replies } else { input };
    }
    client.into_upgrade(&[]).ok()?.established(Verification::Verified).ok()
}

/// Everything that a mode works on.
struct Work {
    text: &'static [u8],
    /// The text with LF, from which a composer makes CRLF. mail-builder leaves it else unchanged, but not the
    /// same lines with CRLF, which it takes for longer ones.
    unix: String,
    checked: Checked<'static>,
    /// Lines of base64, which have no dots.
    lines: &'static [u8],
    /// The text with dot-stuffing and its end.
    wire: Vec<u8>,
    file: Vec<u8>,
    output: Vec<u8>,
    receiver: Receiver<'static, Tls>,
    peer: SmtpClient<Cursor<Vec<u8>>>,
}

impl Work {
    fn new(size: usize) -> Option<Self> {
        let text: &[u8] = text(size).leak();
        let wire = stuffed(text);
        let limits = Limits::default().with_commands(u32::MAX);
        let mut work = Self {
            unix: std::str::from_utf8(text).ok()?.replace("\r\n", "\n"),
            checked: Checked::new(text).ok()?,
            lines: base64_lines(size)?.leak(),
            file: file(size),
            output: vec![0; 2 * size],
            receiver: Receiver::new(channel()?, Domain::LOCALHOST, limits),
            peer: SmtpClient {
                stream: Cursor::new(Vec::with_capacity(wire.len() + 16)),
                timeout: Duration::MAX,
            },
            text,
            wire,
        };
        work.take(b"EHLO a\r\n")?;
        Some(work)
    }

    /// Passes bytes to the receiver. Returns how many it took.
    fn take(&mut self, input: &[u8]) -> Option<usize> {
        let (mut rest, mut output) = (input, [0; Receiver::<Tls>::MAX_OUTPUT]);
        loop {
            match self.receiver.step(&mut rest, &mut output).ok()? {
                Step::Read => return Some(input.len() - rest.len()),
                Step::Write(_) => {}
                Step::Event(Event::Body(piece)) => drop(black_box(piece)),
                Step::Event(Event::Mail(_) | Event::Recipient(_) | Event::Message { .. }) => {
                    self.receiver.accept().ok()?;
                }
                Step::Event(_) => {}
            }
        }
    }

    /// The text through a stuffer, by records.
    fn push(&mut self, line_ends: LineEnds) -> Option<usize> {
        let mut stuffer = Stuffer::new(line_ends);
        let (mut rest, mut written) = (black_box(self.text), 0);
        while !rest.is_empty() {
            let n = stuffer.push(&mut rest, &mut self.output[..PIECE]).ok()?;
            written += black_box(&self.output[..n]).len();
        }
        Some(written + stuffer.end().ok()?.len())
    }

    /// A whole mail with the text, by records.
    fn receive(&mut self) -> Option<usize> {
        self.take(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n")?;
        let wire = std::mem::take(&mut self.wire);
        let mut taken = 0;
        while let Some(rest @ [_, ..]) = black_box(&wire).get(taken..) {
            taken += self.take(&rest[..rest.len().min(PIECE)])?;
        }
        self.wire = wire;
        Some(taken)
    }

    fn compose(&mut self, message: &Message<'_>, file: bool) -> Option<usize> {
        let (mut composer, mut written) = (message.compose(), 0);
        let mut rest = if file { black_box(&self.file[..]) } else { &[] };
        let output = &mut self.output[..PIECE];
        loop {
            match composer.step(output).ok()? {
                Progress::Write(n) => written += black_box(&output[..n]).len(),
                Progress::Attachment(_) => {
                    while !rest.is_empty() {
                        let n = composer.attach(&mut rest, output).ok()?;
                        written += black_box(&output[..n]).len();
                    }
                    composer.end_attachment().ok()?;
                }
                Progress::Done => return Some(written),
            }
        }
    }

    /// Does the work of a mode once. Returns the number of bytes that came out.
    fn once(&mut self, mode: &str) -> Option<usize> {
        let me = Mailbox::new(Address::new("a@b.example").ok()?);
        let sender = ("", "a@b.example");
        match mode {
            "strict" => self.push(LineEnds::Strict),
            "normalize" => self.push(LineEnds::Normalize),
            "check" => Some(black_box(Checked::new(black_box(self.text)).ok()?).as_bytes().len()),
            // Of a message that was checked before: the check is the mode above.
            "pieces" => take_all(black_box(self.checked)),
            "promised" => take_all(Checked::promised(black_box(self.text))),
            "promised-base64" => take_all(Checked::promised(black_box(self.lines))),
            "receive" => self.receive(),
            "attachment" => {
                let files = [Attachment::new("application/gzip", "a.gz").ok()?];
                self.compose(&Message::new(me, &[me]).with_attachments(&files), true)
            }
            "plain" | "quoted" => {
                let to = [me];
                let message = Message::new(me, &to);
                if mode == "plain" {
                    let text = std::mem::take(&mut self.unix);
                    let written = self.compose(&message.with_text(black_box(&text)), false);
                    self.unix = text;
                    return written;
                }
                let text = std::str::from_utf8(black_box(self.text)).ok()?;
                let message = message.with_text(text).with_encoding(Encoding::QuotedPrintable);
                self.compose(&message, false)
            }
            "mail-send" => {
                let stream = &mut self.peer.stream;
                stream.set_position(0);
                ready(self.peer.write_message(black_box(self.text))).ok()?;
                Some(black_box(self.peer.stream.get_ref()).len())
            }
            "smtp-proto" => {
                let mut receiver = DataReceiver::new();
                self.output.clear();
                for piece in black_box(&self.wire).chunks(PIECE) {
                    receiver.ingest(&mut piece.iter(), &mut self.output);
                }
                Some(black_box(&self.output).len())
            }
            "mail-builder-attachment" => {
                self.output.clear();
                let file = black_box(&self.file[..]);
                MessageBuilder::new()
                    .from(sender)
                    .to(sender)
                    .text_body("")
                    .attachment("application/gzip", "a.gz", file)
                    .write_to(&mut self.output)
                    .ok()?;
                Some(black_box(&self.output).len())
            }
            "mail-builder-plain" | "mail-builder-quoted" => {
                self.output.clear();
                let text = if mode == "mail-builder-plain" {
                    black_box(&*self.unix)
                } else {
                    std::str::from_utf8(black_box(self.text)).ok()?
                };
                let message = MessageBuilder::new().from(sender).to(sender).text_body(text);
                message.write_to(&mut self.output).ok()?;
                Some(black_box(&self.output).len())
            }
            "base64ct" => {
                let mut written = 0;
                for (line, room) in black_box(&self.file).chunks(57).zip(self.output.chunks_mut(78))
                {
                    let n = Base64::encode(line, room).ok()?.len();
                    room[n..n + 2].copy_from_slice(b"\r\n");
                    written += n + 2;
                }
                Some(black_box(&self.output[..written]).len())
            }
            "memcpy" => {
                let text = black_box(self.text);
                for (piece, room) in text.chunks(PIECE).zip(self.output.chunks_mut(PIECE)) {
                    room[..piece.len()].copy_from_slice(piece);
                }
                Some(black_box(&self.output).len())
            }
            "memmem" => Some(1 + memmem::find_iter(black_box(self.text), b"\r\n.").count()),
            "memmem-base64" => Some(1 + memmem::find_iter(black_box(self.lines), b"\r\n.").count()),
            "pass" => one_pass(black_box(self.text)),
            "nothing" => Some(1),
            _ => None,
        }
    }
}

/// Takes the pieces of a message. Returns the number of bytes in them.
fn take_all(message: Checked<'_>) -> Option<usize> {
    let (mut stuffer, mut pieces) = (Stuffer::new(LineEnds::Strict), message.pieces());
    let mut taken = 0;
    while let Some(piece) = stuffer.piece(&mut pieces).ok()? {
        taken += black_box(piece).len();
    }
    Some(taken + stuffer.end().ok()?.len())
}

/// The least that finds a bare CR or LF by looking at each CR and LF.
fn one_pass(text: &[u8]) -> Option<usize> {
    let mut lines = 0;
    for place in memchr2_iter(b'\r', b'\n', text) {
        let (before, after) = (place.checked_sub(1).map(|n| text[n]), text.get(place + 1));
        let sound =
            if text[place] == b'\n' { before == Some(b'\r') } else { after == Some(&b'\n') };
        if !sound {
            return None;
        }
        lines += 1;
    }
    Some(lines)
}

/// Runs a future whose stream is in memory and so always ready.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// Megabytes of body a second: the best of several rounds, which other work on the machine disturbs least.
fn rate(mode: &str, size: usize) -> Option<f64> {
    let mut work = Work::new(size)?;
    let repetitions = (MEMORY / size).min(1024);
    let (mut best, begin) = (Duration::MAX, Instant::now());
    while begin.elapsed() < ROUNDS {
        let start = Instant::now();
        for _ in 0..repetitions {
            black_box(work.once(black_box(mode))?);
        }
        best = best.min(start.elapsed());
    }
    Some((size * repetitions) as f64 / best.as_secs_f64() / 1e6)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, mode, amount] = arguments.as_slice() else { return ExitCode::FAILURE };
    let size = match amount.as_str() {
        "cache" => CACHE,
        "memory" => MEMORY,
        _ => {
            let Ok(repetitions) = amount.parse::<u32>() else { return ExitCode::FAILURE };
            let Some(mut work) = Work::new(CACHE) else { return ExitCode::FAILURE };
            let done = (0..repetitions).all(|_| black_box(work.once(black_box(mode))).is_some());
            return if done { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    let Some(rate) = rate(mode, size) else { return ExitCode::FAILURE };
    println!("{rate:.0}");
    ExitCode::SUCCESS
}

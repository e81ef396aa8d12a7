//! Before TLS a server shows nothing that may be a secret, however a client misspells the command with it.

use starttls::driver::Driver;
use starttls::mail::receiver::{self, Login};
use starttls::mail::session::Mechanism;
use starttls::mail::{self, ChannelBinding, Credentials, Opening};
use starttls::server::Config;
use starttls::{Buffer, Introduction, Machine, Policy, Roles, Step, Tls, Verification};
use starttls_tests::CLIENT;
use starttls_tests::run::{Cut, play};
use starttls_tests::subject::Room;
use starttls_tests::sweep::{POLICIES, assert_unseen, outcome};
use starttls_tests::table::{Demand, Protocol, Role, Row, rows};

const SECRET: &str = "hunter2";

/// Commands that carry a secret in some protocol, and near misses.
const COMMANDS: [&str; 36] = [
    "PASS",
    "PASSWORD",
    "PASSWD",
    "PAS",
    "USER",
    "USERNAME",
    "ACCT",
    "APOP me",
    "AUTH",
    "AUTH PLAIN",
    "AUTHENTICATE PLAIN",
    "AUTHINFO PASS",
    "AUTHINFO\tPASS",
    "ADAT",
    "LOGIN me",
    "LOGON me",
    "OPER me",
    "WEBIRC",
    "SERVER",
    "IDENTIFY",
    "NS IDENTIFY",
    "NICKSERV IDENTIFY",
    "NOTICE NickServ :IDENTIFY",
    "PRIVMSG NickServ :IDENTIFY",
    "SQUERY NickServ :IDENTIFY",
    "JOIN #channel",
    "NICK",
    "XAUTH",
    "SITE PSWD",
    "SET USER PASSWORD",
    "MODE",
    "",
    "{7}\r\n",
    "LOGIN {2}\r\nme {7}\r\n",
    "LOGIN {2}\r\nme x\r\n",
    "AUTHENTICATE PLAIN\r\n",
];

const SEPARATORS: [&str; 8] = [" ", "  ", "\t", " \t", ":", "=", "\x0b", ""];

const LEADS: [&str; 12] = [
    "",
    " ",
    "\t",
    "EHLO a\r\n",
    "\u{feff}",
    "a ",
    "a\t",
    "* ",
    "@a=b ",
    ":me!me@example.org ",
    "@a=b :me ",
    "ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt ",
];

macro_rules! all {
    ([] $($module:ident::$Type:ident,)*) => {
        const ALL: &[Protocol] = &[$(Protocol::$Type),*];

        /// The debug output of every machine after only this input.
        fn shown(names: &Introduction<'_>) -> Vec<(String, Vec<u8>)> {
            let mut all = Vec::new();
            $(
                type $Type = starttls::$module::$Type;
                let client = <$Type as Roles>::client(names, Policy::Required).expect("names");
                let server = <$Type as Roles>::server(names, Config::default()).expect("names");
                all.push((format!("{client:?}"), client.recorded()));
                all.push((format!("{server:?}"), server.recorded()));
            )*
            all
        }
    };
}
starttls::for_each_protocol!(all []);

#[test]
fn lines() {
    for protocol in ALL {
        for (policy, end) in [(0, "\r\n"), (0, "\n"), (1, "\r\n"), (1, "\n")] {
            for (lead, command) in LEADS.iter().flat_map(|lead| COMMANDS.map(|word| (lead, word))) {
                for separator in SEPARATORS {
                    let said = format!("{lead}{command}{separator}");
                    for said in [said.to_ascii_lowercase(), said] {
                        let said = said.replace("\r\n", end) + SECRET + end;
                        assert_unseen(*protocol, POLICIES[policy], said.as_bytes(), SECRET);
                    }
                }
            }
        }
    }
}

/// A client may send a limited number of commands, whatever they are.
#[test]
fn commands_have_a_bound() {
    for protocol in ALL {
        let table = format!("{}-server.toml", protocol.module());
        let (mut bounded, mut frames) = (0, 0);
        for row in rows(&table) {
            let said: Vec<u8> = row.turns.iter().flat_map(|turn| turn.input.0.clone()).collect();
            let played = |max| {
                let mut row = Row::of(row.protocol, row.role, row.policy, &[&said]);
                row.max_commands = max;
                play(&row, Cut::Whole, Room::Ample).upgrade.expect("a dialogue")
            };
            let usual = played(None);
            // It got far enough to read a command.
            if usual.lines.is_empty() && !usual.end.starts_with("plaintext") {
                continue;
            }
            frames += 1;
            bounded += usize::from(played(Some(0)).end == "error TooManyErrors");
        }
        assert!(frames > 3, "{table}: {frames} rows");
        assert_eq!(bounded, frames, "{table}");
    }
}

/// The server's default limit.
#[test]
fn a_hundred_commands_are_enough() {
    let turns = |times| [b"NOOP\r\n".repeat(times)];
    for (times, expected) in [(100, "waiting"), (101, "error TooManyErrors")] {
        let outcome = outcome(Protocol::Smtp, Role::Server, Demand::Required, &turns(times));
        assert_eq!(outcome.end, expected);
    }
}

/// A limit of 255 mistakes works.
#[test]
fn mistakes_have_a_bound() {
    for max in [0_u16, 1, 254, 255] {
        for (times, expected) in [(max, "waiting"), (max + 1, "error TooManyErrors")] {
            let turns = [b"XYZZY\r\n".repeat(usize::from(times))];
            let mut row = Row::of(Protocol::Smtp, Role::Server, Demand::Required, &turns);
            (row.max_errors, row.max_commands) = (u8::try_from(max).ok(), Some(u16::MAX));
            let end = play(&row, Cut::Whole, Room::Ample).upgrade.expect("a dialogue").end;
            assert_eq!(end, expected, "{times} of {max}");
        }
    }
}

/// Types with debug output, by defmt too if the feature is on.
#[cfg(not(feature = "defmt"))]
trait Shown: std::fmt::Debug {
    fn recorded(&self) -> Vec<u8> {
        Vec::new()
    }
}

#[cfg(not(feature = "defmt"))]
impl<T: std::fmt::Debug> Shown for T {}

#[cfg(feature = "defmt")]
trait Shown: std::fmt::Debug + defmt::Format {
    fn recorded(&self) -> Vec<u8> {
        recorder::recorded(self)
    }
}

#[cfg(feature = "defmt")]
impl<T: std::fmt::Debug + defmt::Format> Shown for T {}

/// Checks for the secret as text, in base64 and as a list of numbers.
fn assert_hidden(shown: impl Shown) {
    for shown in [format!("{shown:?}"), format!("{shown:#?}")] {
        assert_no_secret(&shown);
    }
    let recorded = shown.recorded();
    assert!(!has_secret(&recorded), "{shown:?} by defmt: {}", recorded.escape_ascii());
}

fn assert_no_secret(shown: &str) {
    let flat: String = shown.split_whitespace().collect();
    for secret in [SECRET, "aHVudGVyMg", "104,117,110,116,101,114,50", "7,7,7,7"] {
        assert!(!flat.contains(secret), "{shown}");
    }
}

/// Whether these bytes contain a secret, which defmt writes unchanged.
fn has_secret(octets: &[u8]) -> bool {
    [SECRET.as_bytes(), b"aHVudGVyMg", &[7; 4]]
        .iter()
        .any(|secret| octets.windows(secret.len()).any(|part| part == *secret))
}

/// A logger that records its input, separately for each thread.
#[cfg(feature = "defmt")]
mod recorder {
    use std::cell::RefCell;

    thread_local! {
        static RECORDED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }

    #[defmt::global_logger]
    struct Recorder;

    // SAFETY: each thread has its own buffer, so no state is shared that a second thread could interrupt.
    unsafe impl defmt::Logger for Recorder {
        fn acquire() {}

        unsafe fn flush() {}

        unsafe fn release() {}

        unsafe fn write(octets: &[u8]) {
            RECORDED.with_borrow_mut(|recorded| recorded.extend_from_slice(octets));
        }
    }

    defmt::timestamp!("{=u8}", 0);

    /// Stands in for the symbol of the panic handler, which defmt's linker script defines on a board.
    #[defmt::panic_handler]
    fn panic() -> ! {
        std::process::abort()
    }

    /// All bytes that defmt writes for this value.
    pub(super) fn recorded(shown: &(impl defmt::Format + ?Sized)) -> Vec<u8> {
        RECORDED.with_borrow_mut(Vec::clear);
        defmt::error!("{}", shown);
        let recorded = RECORDED.take();
        assert!(!recorded.is_empty(), "the level of the log is too low");
        recorded
    }

    /// A recorder that records nothing would make every secret look hidden.
    #[test]
    fn visible_secrets_are_found() {
        for shown in [super::SECRET, "a hunter2 b"] {
            assert!(super::has_secret(&recorded(shown)));
        }
        assert!(super::has_secret(&recorded(&[7_u8; 32])));
        assert!(super::has_secret(&recorded(&0x0707_0707_u32)));
        assert!(!super::has_secret(&recorded(&(1_u32, "tim"))));
    }
}

/// No type displays a password, a token, a key or a nonce that it holds.
#[test]
fn debug_shows_no_secret() {
    let (exporter, hash, nonce) = ([7; 32], [7; 32], [7; 18]);
    let bindings = [ChannelBinding::Exporter(&exporter), ChannelBinding::ServerEndPoint(&hash)];
    for binding in bindings {
        assert_hidden(binding);
        let password = Credentials::new("tim", SECRET).expect("valid");
        let password = password.with_nonce(&nonce).with_binding(binding).expect("valid");
        let token = Credentials::bearer("tim", SECRET).expect("valid").with_nonce(&nonce);
        for credentials in [password, token, password.by(Mechanism::Plain)] {
            assert_hidden(credentials);
            assert_hidden(Some(&credentials));
            let mut opening: Opening<'_> = Opening::implicit(CLIENT, Policy::Required);
            let mut output = [0; 512];
            assert!(opening.step(&mut &b""[..], &mut output).is_ok());
            opening.encrypted(Verification::Verified, Some(&credentials)).expect("asked");
            assert_hidden(&opening);
            logging_in(&credentials);
        }
    }
    let credentials = Credentials::new("tim", SECRET).expect("valid");
    assert_hidden(starttls_embedded::Settings::new().with_credentials(&credentials));
    assert_hidden(Introduction::new("mx.example.org", [7; 20]));
    for (shown, recorded) in shown(&Introduction::new("example.org", [7; 20])) {
        assert!(!has_secret(&recorded), "{shown} by defmt: {}", recorded.escape_ascii());
        // Nor as one number.
        assert!(!shown.contains("117901063") && !shown.contains("506381209866536711"), "{shown}");
        assert_no_secret(&shown);
    }
    let mut buffer = Buffer::<64>::new();
    buffer.free_mut()[..7].copy_from_slice(SECRET.as_bytes());
    buffer.received(7);
    assert_hidden(&buffer);
    let mut driver = Driver::new(Buffer::<64>::new(), Buffer::<64>::new());
    assert_eq!(driver.receive(SECRET.as_bytes()), 7);
    assert_hidden(&driver);
}

/// Types that contain these implement Debug, too. An unmet bound would silently remove the implementation.
#[test]
fn whole_machines_implement_debug() {
    fn shown<T: Shown>() {}
    shown::<Opening<'_>>();
    shown::<mail::Inbound<'_>>();
    shown::<mail::Outbound>();
    shown::<mail::Receiver<'_, Tls>>();
    shown::<mail::Session<Tls>>();
    shown::<mail::session::Exchange<'_, '_, Tls>>();
    shown::<mail::outbound::Job<'_, '_>>();
}

/// A session that has just logged in.
fn logging_in(credentials: &Credentials<'_>) {
    let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
    let mut session = mail::Session::<Tls>::new(tls);
    let mut output = [0; 1024];
    let mut hello = session.hello(CLIENT).expect("new");
    for reply in [&b"220 x\r\n"[..], b"250-x\r\n250 AUTH PLAIN LOGIN XOAUTH2 SCRAM-SHA-256\r\n"] {
        let mut input = reply;
        while !input.is_empty() {
            hello.step(&mut input, &mut output).expect("no error");
        }
        let _ = hello.step(&mut &b""[..], &mut output);
    }
    let mut login = session.authenticate(credentials).expect("offered");
    let written = login.step(&mut &b""[..], &mut output);
    assert!(matches!(written, Ok(Step::Write(_))), "{written:?}");
    assert_hidden(&login);
}

/// A server does not display a client's credentials either.
#[test]
fn debug_of_a_login_shows_no_secret() {
    let config = receiver::Config::default();
    let config = config.with_authentication(receiver::Authentication::Offered);
    // \0tim\0hunter2, and each of them alone.
    for (said, events) in [
        ("EHLO a\r\nAUTH PLAIN AHRpbQBodW50ZXIy\r\n", 2),
        ("EHLO a\r\nAUTH LOGIN\r\naHVudGVyMg==\r\naHVudGVyMg==\r\n", 4),
    ] {
        let mut machine = mail::Receiver::<Tls>::new(Tls::implicit_server(), CLIENT, config);
        let (mut input, mut output, mut seen) = (said.as_bytes(), [0; 512], 0);
        while seen < events {
            let step = machine.step(&mut input, &mut output).expect("no error");
            if let Step::Event(event) = step {
                seen += 1;
                assert_hidden(event);
                if let receiver::Event::Login(login) = event {
                    let mut buffer = [0; Login::MAX];
                    assert_hidden(login.decode(&mut buffer).expect("a login"));
                }
            }
            assert_hidden(&machine);
        }
    }
}

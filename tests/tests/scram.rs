//! SCRAM between our client and our server, and with arbitrary messages.

use proptest::prelude::*;
use starttls::mail::receiver::{
    Answer, Authentication, Config, Event, Scram, ScramExchange, ScramFirst, ScramKeys, ScramStart,
};
use starttls::mail::session::{self, Mechanism};
use starttls::mail::{ChannelBinding, Credentials, Nonce, Receiver, Session};
use starttls::smtp::Smtp;
use starttls::{Error, Machine, Policy, Step, Tls, Verification};
use starttls_tests::CLIENT;

const SALT: &[u8] = b"salt of 16 bytes";

/// The server, with one user whose name it does not check.
struct Server<'k> {
    receiver: Receiver<'static, Tls>,
    keys: ScramKeys<'k>,
    binding: ChannelBinding<'k>,
    user: String,
    exchange: Option<ScramExchange>,
    is_done: bool,
}

impl Server<'_> {
    /// Its output for this input of whole lines.
    fn hear(&mut self, mut input: &[u8]) -> Vec<u8> {
        let (mut said, mut output) = (Vec::new(), [0; 512]);
        loop {
            let written =
                match self.receiver.step(&mut input, &mut output).expect("a client of ours") {
                    Step::Read => return said,
                    Step::Write(n) => n,
                    Step::Event(Event::ScramFirst(first)) => {
                        let (mut buffer, mut name) = ([0; ScramFirst::MAX], [0; 255]);
                        let start = first.decode(&mut buffer).expect("a client of ours");
                        self.user = start.user(&mut name).expect("a name").to_owned();
                        let nonce: Nonce = [9; 18];
                        let exchange = start.exchange(&self.keys, &nonce, &[self.binding]);
                        let exchange = self.exchange.insert(exchange.expect("our binding"));
                        self.receiver.challenge(exchange, &mut output).expect("asked")
                    }
                    Step::Event(Event::ScramFinal(last)) => {
                        let exchange = self.exchange.as_mut().expect("begun");
                        match exchange.verify(&last) {
                            Ok(()) => {
                                self.receiver.challenge(exchange, &mut output).expect("asked")
                            }
                            Err(Error::Unverified) => self
                                .receiver
                                .answer(Answer::BAD_CREDENTIALS, &mut output)
                                .expect("asked"),
                            Err(error) => panic!("{error}"),
                        }
                    }
                    Step::Event(event) => {
                        self.is_done |= event == Event::Authenticated;
                        continue;
                    }
                };
            said.extend_from_slice(&output[..written]);
        }
    }
}

/// Runs a login to its end. Returns the user that the server knows, if it accepts.
fn log_in(server: &mut Server<'_>, credentials: &Credentials<'_>) -> Result<(), Error> {
    let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
    let mut session = Session::<Tls, Smtp>::new(tls);
    let mut received = server.hear(b"");
    for is_hello in [true, false] {
        let mut exchange = match is_hello {
            true => session.hello(CLIENT)?,
            false => session.authenticate(credentials)?,
        };
        let mut output = [0; 2048];
        loop {
            let mut input = &received[..];
            let (said, is_done) = match exchange.step(&mut input, &mut output)? {
                Step::Write(n) => (server.hear(&output[..n]), false),
                Step::Event(event) => (Vec::new(), matches!(event, session::Event::Done(_))),
                Step::Read => panic!("the server does not answer"),
            };
            let consumed = received.len() - input.len();
            received.drain(..consumed);
            received.extend(said);
            if is_done {
                break;
            }
        }
    }
    Ok(())
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "[,=a-z\u{e4}\u{20ac}]{1,40}", "[^\0]{1,60}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_right_password_over_the_same_connection_and_nothing_else(
        user in text(),
        password in text(),
        other in text(),
        data: [u8; 32],
        plus: bool,
        bit in 0_usize..300,
    ) {
        let nonce = [7; 18];
        // For most numbers beyond the bits of the binding, it is the same.
        let mut theirs = data;
        if let Some(octet) = theirs.get_mut(bit / 8) {
            *octet ^= 1 << (bit % 8);
        }
        for (claimed, bound) in [(&password, data), (&other, data), (&password, theirs)] {
            let config = Config::default().with_authentication(Authentication::Required);
            let config = config.with_scram(Scram::Bound);
            let mut server = Server {
                receiver: Receiver::new(Tls::implicit_server(), CLIENT, config),
                keys: ScramKeys::derive(&password, SALT, 4096).expect("a password"),
                binding: ChannelBinding::Exporter(&data),
                user: String::new(),
                exchange: None,
                is_done: false,
            };
            let binding = ChannelBinding::Exporter(&bound);
            let credentials = Credentials::new(&user, claimed).expect("texts").with_nonce(&nonce);
            let credentials = match plus {
                true => credentials.with_binding(binding).expect("a binding"),
                false => credentials.by(Mechanism::ScramSha256),
            };
            let result = log_in(&mut server, &credentials);
            let is_right = *claimed == password && (!plus || bound == data);
            prop_assert_eq!(result.is_ok(), is_right, "{:?}", result);
            prop_assert_eq!(server.is_done, is_right);
            prop_assert_eq!(server.receiver.is_authenticated(), is_right);
            prop_assert_eq!(&server.user, &user);
        }
    }
}

/// Messages in which the parts of a first message are likely.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let parts: [&[u8]; 16] = [
        b"n",
        b"y",
        b"p=tls-exporter",
        b"p=",
        b",",
        b"a=",
        b"n=",
        b"r=",
        b"m=x",
        b"=2C",
        b"=3D",
        b"=",
        b"\xc3\xa4",
        b"\xff",
        b"\0",
        b"x",
    ];
    let part = prop_oneof![
        8 => prop::sample::select(parts.to_vec()).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..140),
    ];
    prop::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    /// What is accepted has the form of RFC 5802, by another reading of it.
    #[test]
    fn a_first_message_has_its_form(message in message(), plus: bool) {
        let Ok(start) = ScramStart::parse(&message, plus) else { return Ok(()) };
        let text = std::str::from_utf8(&message).ok();
        let fields: Vec<&[u8]> = message.split(|octet| *octet == b',').collect();
        prop_assert!(fields.len() >= 4);
        prop_assert!(fields[1].is_empty() || fields[1].starts_with(b"a="));
        prop_assert!(fields[2].starts_with(b"n=") && fields[3].starts_with(b"r="));
        let mut name = [0; 255];
        let name = start.user(&mut name).expect("checked");
        let encoded = name.replace('=', "=3D").replace(',', "=2C");
        prop_assert_eq!(encoded.as_bytes(), &fields[2][2..]);
        prop_assert!(!name.is_empty() && !name.contains('\0'));
        prop_assert_eq!(start.message(), &message[..]);
        let keys = ScramKeys::derive("a", SALT, 4096).expect("a password");
        let flag = fields[0];
        prop_assert_eq!(start.exchange(&keys, &[0; 18], &[]).is_ok(), !plus && (flag == b"n" || flag == b"y"));
        let exporter = ChannelBinding::Exporter(&[0; 32]);
        let is_bound = plus && flag == b"p=tls-exporter";
        prop_assert_eq!(start.exchange(&keys, &[0; 18], &[exporter]).is_ok(), is_bound || !plus && flag == b"n");
        prop_assert!(text.is_some() || fields.len() > 4 || !flag.is_ascii());
    }
}

//! Properties of all messages, arguments and text.

use proptest::prelude::*;
use starttls::client::Event;
use starttls::mail::receiver::{self, Limits};
use starttls::mail::{self, Address, Credentials, LineEnds, Stuffer};
use starttls::mx::tls_optional;
use starttls::smtp::{self, Domain};
use starttls::wire::Line;
use starttls::{Error, Machine, Policy, Step, Tls, Verification};
use starttls_tests::CLIENT;

/// Bytes in which lines, dots and all kinds of line ends are likely.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => Just(b"\r\n".to_vec()),
        2 => Just(b".".to_vec()),
        1 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        4 => prop::collection::vec(1_u8.., 0..6),
    ];
    prop::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
}

fn stuffed(body: &[u8], ends: LineEnds, cut: usize, room: usize) -> Result<Vec<u8>, Error> {
    let (mut stuffer, mut wire) = (Stuffer::new(ends), Vec::new());
    for mut piece in body.chunks(cut) {
        while !piece.is_empty() {
            let mut output = vec![0; room];
            let n = stuffer.push(&mut piece, &mut output)?;
            wire.extend(&output[..n]);
        }
    }
    wire.extend(stuffer.end()?);
    Ok(wire)
}

/// The message that a receiver reads from `wire` after DATA, cut into pieces, and the number of bytes it leaves.
fn received(wire: &[u8], cut: usize) -> Result<Option<(Vec<u8>, usize)>, Error> {
    message(b"DATA\r\n", wire, cut)
}

/// The same after any command; `None` if the machine refuses the message.
fn message(command: &[u8], wire: &[u8], cut: usize) -> Result<Option<(Vec<u8>, usize)>, Error> {
    let mut receiver =
        mail::Receiver::<Tls>::new(Tls::implicit_server(), CLIENT, Limits::default());
    let begin = [b"EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", command].concat();
    let (mut unread, mut output, mut body) = (begin, [0; 512], Vec::new());
    let mut pieces = wire.chunks(cut);
    let mut begun = false;
    loop {
        let mut input = &unread[..];
        let step = receiver.step(&mut input, &mut output)?;
        let left = input.len();
        match step {
            Step::Event(receiver::Event::Body(piece)) => body.extend(piece),
            Step::Event(receiver::Event::Message { .. }) => {
                return Ok(Some((body, left + pieces.map(<[u8]>::len).sum::<usize>())));
            }
            Step::Event(receiver::Event::Refused { .. }) => return Ok(None),
            Step::Event(receiver::Event::Mail(_) | receiver::Event::Recipient(_)) => {
                receiver.accept().expect("asked");
            }
            _ => {}
        }
        let reads = step == Step::Read;
        unread.drain(..unread.len() - left);
        if reads {
            begun = true;
            match pieces.next() {
                Some(piece) => unread.extend(piece),
                None => return Ok(None),
            }
        }
        assert!(begun || body.is_empty());
    }
}

/// A message in chunks of these sizes; the last takes the rest.
fn chunked(body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut wire, mut rest) = (Vec::new(), body);
    for size in sizes {
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        wire.extend(format!("BDAT {}\r\n", chunk.len()).into_bytes());
        wire.extend(chunk);
        rest = after;
    }
    wire.extend(format!("BDAT {} LAST\r\n", rest.len()).into_bytes());
    [wire, rest.to_vec()].concat()
}

fn has_lone_line_ends(body: &[u8]) -> bool {
    body.iter().enumerate().any(|(at, octet)| match octet {
        b'\r' => body.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || body[at - 1] != b'\r',
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    /// I11, I12: dot-stuffing is reversible, whatever follows the message.
    #[test]
    fn dots_there_and_back(body in text(), cut in 1_usize..9, room in 2_usize..9, cut_back in 1_usize..9) {
        let wire = stuffed(&body, LineEnds::Normalize, cut, room).expect("mended");
        prop_assert_eq!(&wire, &stuffed(&body, LineEnds::Normalize, usize::MAX, 4096).expect("mended"));
        let mut message = wire.clone();
        message.extend(b"MAIL FROM:<>\r\n");
        let (back, left) = received(&message, cut_back).expect("CRLF only").expect("an end");
        prop_assert_eq!(left, 14, "the message ends at the right place");
        // Normalizing is idempotent: strict mode accepts the result and writes the same bytes.
        prop_assert_eq!(stuffed(&back, LineEnds::Strict, cut, room), Ok(wire.clone()));
        match stuffed(&body, LineEnds::Strict, cut, room) {
            Ok(strict) => {
                prop_assert_eq!(strict, wire);
                let mut whole = body.clone();
                if !body.is_empty() && !body.ends_with(b"\r\n") {
                    whole.extend(b"\r\n");
                }
                prop_assert_eq!(back, whole);
            }
            Err(error) => {
                prop_assert_eq!(error, Error::BareLineEnd);
                prop_assert!(has_lone_line_ends(&body), "refused without a reason");
            }
        }
    }

    /// I11, I14: the received message does not depend on the cut, and ends only at
    /// CRLF, dot, CRLF.
    #[test]
    fn messages_end_where_they_end(wire in text(), cut in 1_usize..9) {
        let whole = received(&wire, usize::MAX);
        prop_assert_eq!(&received(&wire, cut), &whole);
        if let Ok(Some((_, left))) = whole {
            let taken = &wire[..wire.len() - left];
            prop_assert!(taken == b".\r\n" || taken.ends_with(b"\r\n.\r\n"));
        }
    }

    /// MR2, MR3, MR4: a message sent in chunks arrives unchanged, for every division into chunks and
    /// pieces. A message with a bare CR or LF is refused.
    #[test]
    fn chunks_there_and_back(
        body in prop_oneof![
            text(),
            text().prop_map(|body| stuffed(&body, LineEnds::Normalize, 99, 99).expect("mended")),
        ],
        sizes in prop::collection::vec(0_usize..7, 0..9),
        cut in prop_oneof![1_usize..9, Just(usize::MAX)],
    ) {
        let mut wire = chunked(&body, &sizes);
        wire.extend(b"MAIL FROM:<>\r\n");
        let back = message(b"", &wire, cut).expect("the connection stays in step");
        match back {
            Some((back, left)) => {
                prop_assert!(!has_lone_line_ends(&body));
                prop_assert_eq!(left, 14, "the message ends at the right place");
                prop_assert_eq!(back, body);
            }
            None => prop_assert!(has_lone_line_ends(&body), "refused without a reason"),
        }
    }

    /// MR1: the application gets exactly the client's credentials, and they are not displayed.
    #[test]
    fn logins_there_and_back(
        user in "[^\0]{1,40}",
        password in "[^\0]{1,40}",
        login: bool,
    ) {
        let credentials = Credentials::new(&user, &password).expect("short, without NUL");
        let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
        let mut session = mail::Session::<Tls>::new(tls);
        let config = receiver::Config::default()
            .with_authentication(receiver::Authentication::Required);
        let mut receiver = mail::Receiver::<Tls>::new(Tls::implicit_server(), CLIENT, config);
        let (mut to_server, mut to_client) = (Vec::<u8>::new(), Vec::<u8>::new());
        let (mut heard, mut buffer) = ((String::new(), String::new()), [0; receiver::Login::MAX]);
        for job in 0..2 {
            let mut done = false;
            while !done {
                let mut output = [0; 2048];
                let mut input = &to_server[..];
                loop {
                    match receiver.step(&mut input, &mut output).expect("well-formed") {
                        Step::Read => break,
                        // The client uses LOGIN if PLAIN is not offered.
                        Step::Write(n) => {
                            let reply = String::from_utf8_lossy(&output[..n]);
                            let offer = if login { "AUTH LOGIN" } else { "AUTH PLAIN" };
                            to_client.extend(reply.replace("AUTH PLAIN LOGIN", offer).into_bytes());
                        }
                        Step::Event(event @ receiver::Event::User(name)) => {
                            prop_assert_eq!(format!("{event:?}"), "User(UserName(..))");
                            heard.0 = name.decode(&mut buffer).expect("a name").to_string();
                        }
                        Step::Event(event @ receiver::Event::Login(claimed)) => {
                            prop_assert_eq!(format!("{event:?}"), "Login(Login(..))");
                            let claim = claimed.decode(&mut buffer).expect("a claim");
                            prop_assert_eq!((claim.authorization, claim.user.is_some()), ("", !login));
                            heard.0 = claim.user.map_or(heard.0, str::to_string);
                            heard.1 = claim.password.to_string();
                            receiver.accept().expect("asked");
                        }
                        Step::Event(receiver::Event::Received(said)) => {
                            let said = said.to_string();
                            prop_assert!(["AUTH", "EHLO"].contains(&&said[..4]) && said.len() < 40);
                        }
                        Step::Event(_) => {}
                    }
                }
                to_server.clear();
                let mut input = &to_client[..];
                loop {
                    let step = match job {
                        0 => session.hello(CLIENT).expect("first").step(&mut input, &mut output),
                        _ => session.authenticate(&credentials).expect("offered").step(&mut input, &mut output),
                    };
                    match step.expect("well-formed") {
                        Step::Read => break,
                        Step::Write(n) => to_server.extend(&output[..n]),
                        Step::Event(mail::session::Event::Done(_)) => {
                            done = true;
                            break;
                        }
                        Step::Event(_) => {}
                    }
                }
                to_client.clear();
            }
        }
        prop_assert!(receiver.is_authenticated());
        prop_assert_eq!(heard, (user, password));
    }

    /// I12: a caller's value is refused or cannot end a line.
    #[test]
    fn arguments_cannot_carry_commands(
        text in "(?s)[ -~\r\n\0é<>@\"]{0,12}",
        around in prop_oneof![Just(""), Just("a@"), Just("\"a\"@")],
    ) {
        let text = format!("{around}{text}");
        let ends_lines = text.contains(['\r', '\n', '\0']);
        if Line::new(&text).is_ok() || Address::new(&text).is_ok() || Domain::new(&text).is_ok() {
            prop_assert!(!ends_lines, "{:?}", text);
        }
        if let Ok(domain) = Domain::new(&text) {
            prop_assert!(domain.as_str().bytes().all(|octet| matches!(octet, 0x21..=0x7e)));
        }
        if let Ok(address) = Address::new(&text) {
            prop_assert!(address.as_str().bytes().all(|octet| matches!(octet, 0x20..=0x7e)));
            let path = format!("EHLO a\r\nMAIL FROM:<{text}>\r\n");
            let mut receiver =
                mail::Receiver::<Tls>::new(Tls::implicit_server(), CLIENT, Limits::default());
            let (mut input, mut output) = (path.as_bytes(), [0; 512]);
            let read = loop {
                match receiver.step(&mut input, &mut output).expect("no error") {
                    Step::Event(receiver::Event::Mail(mail)) => break Some(mail.path.as_str()),
                    Step::Read => break None,
                    _ => {}
                }
            };
            prop_assert_eq!(read, Some(&text[..]), "parsing reverses printing");
        }
    }

    /// I12: credentials of all kinds make one line of base64.
    #[test]
    fn credentials_cannot_carry_commands(user in "(?s).{1,40}", password in "(?s).{1,40}", login: bool) {
        let Ok(credentials) = Credentials::new(&user, &password) else {
            prop_assert!(user.contains('\0') || password.contains('\0'));
            return Ok(());
        };
        let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
        let mut session = mail::Session::<Tls>::new(tls);
        let mechanism = if login { "LOGIN" } else { "PLAIN" };
        let capabilities = format!("250-mx\r\n250 AUTH {mechanism}\r\n");
        let mut output = [0; 1024];
        for mut reply in ["220 mx\r\n", &capabilities].map(str::as_bytes) {
            while !matches!(
                session.hello(CLIENT).expect("first").step(&mut reply, &mut output).expect("well-formed"),
                Step::Write(_) | Step::Event(mail::session::Event::Done(_))
            ) {}
        }
        for mut reply in [&b""[..], b"334 \r\n", b"334 \r\n"] {
            let mut exchange = session.authenticate(&credentials).expect("offered");
            let n = loop {
                match exchange.step(&mut reply, &mut output) {
                    Ok(Step::Write(n)) => break n,
                    Ok(_) => {}
                    Err(error) => {
                        prop_assert!(!login && error == Error::UnexpectedReply);
                        return Ok(());
                    }
                }
            };
            let line = output[..n].strip_suffix(b"\r\n").expect("one line");
            let base64 = |octet: &u8| octet.is_ascii_alphanumeric() || b"+/= ".contains(octet);
            prop_assert!(line.iter().all(base64), "{}", line.escape_ascii());
        }
    }

    /// I8, I12: a peer's text is displayed in printable ASCII, whatever it contains.
    #[test]
    fn shown_text_is_printable(said in prop::collection::vec(any::<u8>(), 0..80)) {
        let line: Vec<u8> = said.into_iter().filter(|octet| !b"\r\n\0".contains(octet)).collect();
        let wire = [b"220 ", &line[..], b"\r\n"].concat();
        let mut client = smtp::Client::new(CLIENT, Policy::Required);
        match client.step(&mut &wire[..], &mut []) {
            Ok(Step::Event(Event::Received(text))) => {
                prop_assert_eq!(text.as_untrusted_bytes(), &wire[..wire.len() - 2]);
                for shown in [format!("{text}"), format!("{text:?}")] {
                    prop_assert!(shown.bytes().all(|octet| matches!(octet, b' '..=b'~')));
                }
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

proptest! {
    /// A mail is sent without protection only if its transmitted header says so, too.
    #[test]
    fn only_a_transmitted_header_waives_tls(
        parts in prop::collection::vec("(TLS-Required: No|Subject: a|\r\n|\r\n|\r|\n| |x|:)", 0..12),
        cut in 1_usize..9,
    ) {
        let message = parts.concat();
        let sent = stuffed(message.as_bytes(), LineEnds::Normalize, cut, 64).expect("no NUL");
        if tls_optional(message.as_bytes()) {
            prop_assert!(tls_optional(&sent), "{message:?}");
        }
    }
}

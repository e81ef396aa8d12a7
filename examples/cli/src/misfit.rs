//! The wrong port or the wrong protocol: which scheme to try.

use clap::ValueEnum as _;
use starttls::client::Event;
use starttls::{Client, Error as Rule, Introduction, Machine, Policy, Protocol, Roles, Step};
use starttls_std::{Error, Mode};

use crate::url::{Scheme, Url, speaking};

/// A sentence with the scheme to try, if the server speaks another protocol than that of `url`, or the other kind of TLS.
/// `greeting` is the server's escaped greeting; empty if unknown.
pub(crate) fn hint(error: &Error, url: &Url, greeting: &str) -> Option<String> {
    let mode = url.scheme.mode;
    if let Some(answer) = error.plaintext_answer() {
        if mode == Mode::StartTls {
            return None;
        }
        let spoken = spoken(answer);
        let schemes = match &spoken[..] {
            [] => vec![url.scheme.protocol().name],
            names => names.to_vec(),
        };
        return Some(match schemes_with(&schemes, Mode::StartTls, url) {
            None => format!("The server speaks {} on this port.", spoken.join(" or ")),
            Some(schemes) => format!("This port does not use implicit TLS: try {schemes}."),
        });
    }
    let Error::Protocol { error, said } = error else { return None };
    let first = if greeting.is_empty() { said.as_str() } else { greeting };
    if mode == Mode::StartTls && (is_tls(said) || is_tls(first)) {
        return Some(match implicit(url) {
            Some(url) => format!("This port uses implicit TLS: try {url}."),
            None => format!(
                "This port uses implicit TLS, for which {} has no scheme.",
                url.scheme.protocol().name
            ),
        });
    }
    let spoken = spoken(first);
    if !spoken.is_empty() && !spoken.contains(&url.scheme.protocol().name) {
        return Some(match schemes_with(&spoken, mode, url) {
            None => format!("The server speaks {}.", spoken.join(" or ")),
            Some(schemes) => {
                format!("The greeting looks like {}: try {schemes}.", spoken.join(" or "))
            }
        });
    }
    let silent = first.is_empty() && matches!(error, Rule::TimedOut | Rule::Closed);
    let other = implicit(url).filter(|_| silent && mode == Mode::StartTls)?;
    Some(format!("The server sent nothing: if this port uses implicit TLS, try {other}."))
}

/// The same URL with implicit TLS.
fn implicit(url: &Url) -> Option<Url> {
    url.scheme.protocol().implicit_name?;
    Some(Url { scheme: Scheme { mode: Mode::Implicit, ..url.scheme }, ..url.clone() })
}

/// The URLs of these protocols at the same place; `None` if we support none of them.
fn schemes_with(names: &[&str], mode: Mode, url: &Url) -> Option<String> {
    let of = |name: &&str| {
        let found = |mode| {
            let mut all = Scheme::value_variants().iter();
            all.find(|scheme| scheme.protocol().name == *name && scheme.mode == mode)
        };
        let scheme = found(mode).or_else(|| found(Mode::StartTls))?;
        Some(Url { scheme: *scheme, ..url.clone() }.to_string())
    };
    let urls: Vec<_> = names.iter().filter_map(of).collect();
    (!urls.is_empty()).then(|| urls.join(" or "))
}

/// Whether the text begins like a TLS alert or another TLS record.
pub(crate) fn is_tls(said: &str) -> bool {
    ["\\x15\\x03", "\\x16\\x03"].iter().any(|record| said.starts_with(record))
}

/// The protocols with such a greeting: those whose clients accept it. If there are several, a protocol's name in the
/// text decides.
fn spoken(greeting: &str) -> Vec<&'static str> {
    let others = [("SSH-", "SSH"), ("HTTP/", "HTTP")];
    if let Some((_, name)) = others.iter().find(|(front, _)| greeting.starts_with(front)) {
        return vec![name];
    }
    let answered = answered(greeting);
    if !answered.is_empty() {
        return answered;
    }
    let said = unescaped(greeting);
    // The quoted text was trimmed.
    let said = [&b"\r\n"[..], b"\n", b""].map(|end| [&said, end].concat());
    let mut names = Vec::new();
    for scheme in Scheme::value_variants() {
        let name = scheme.protocol().name;
        let greets = || said.iter().any(|said| speaking!(scheme, P => greets::<P>(said)));
        if !names.contains(&name) && greets() {
            names.push(name);
        }
    }
    let said = greeting.to_ascii_lowercase();
    let named: Vec<_> = names.iter().copied().filter(|name| said.contains(name)).collect();
    if named.is_empty() { names } else { named }
}

/// The protocols without a greeting whose servers send this: their clients speak first, but the servers identify
/// themselves anyway, at once (IRC) or in reply to any input (XML).
fn answered(said: &str) -> Vec<&'static str> {
    let (prefix, rest) = match said.strip_prefix(':').and_then(|said| said.split_once(' ')) {
        Some((prefix, rest)) => (Some(prefix), rest),
        None => (None, said),
    };
    let verb = rest.split(' ').next().unwrap_or_default();
    let is_numeric = verb.len() == 3 && verb.bytes().all(|octet| octet.is_ascii_digit());
    if matches!(verb, "NOTICE" | "ERROR" | "PING") && rest.len() > verb.len()
        || is_numeric && prefix.is_some()
    {
        return vec![Protocol::IRC.name];
    }
    if !["<?xml ", "<stream:"].iter().any(|front| said.starts_with(front)) {
        return Vec::new();
    }
    let streams = Protocol::ALL.iter().filter(|protocol| protocol.services.is_some());
    let names: Vec<_> = streams.map(|protocol| protocol.name).collect();
    // Each has its own namespace, which ends with the role.
    let whose = |name: &&&str| said.contains("jabber:server") == name.ends_with("server");
    match said.contains("jabber:") {
        true => names.iter().filter(whose).copied().collect(),
        false => names,
    }
}

/// Whether a client accepts this as the start of a greeting.
fn greets<P: Roles>(said: &[u8]) -> bool {
    let names = Introduction::new("localhost", [0; 20]);
    let Ok(mut client) = P::client(&names, Policy::Opportunistic) else { return false };
    let mut output = vec![0; <Client<P::Client<'_>> as Machine>::MAX_OUTPUT];
    if !matches!(client.step(&mut &b""[..], &mut output), Ok(Step::Read)) {
        // It speaks first.
        return false;
    }
    let mut input = said;
    loop {
        match client.step(&mut input, &mut output) {
            Ok(Step::Read) => return input.len() < said.len(),
            Ok(Step::Write(_)) => return true,
            // A line that breaks a rule is reported first, too.
            Ok(Step::Event(Event::Received(_))) => {}
            Ok(Step::Event(_)) => return true,
            // More than a greeting: the rest does not matter here.
            Err(Rule::Unsolicited) => return true,
            Err(_) => return false,
        }
    }
}

/// Reverses the escaping of [`Untrusted`](starttls::Untrusted).
fn unescaped(shown: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = shown.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'\\' => match rest.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digits: String = rest.by_ref().take(2).map(char::from).collect();
                    u8::from_str_radix(&digits, 16).unwrap_or_default()
                }
                other => other.unwrap_or(b'\\'),
            },
            octet => octet,
        });
    }
    octets
}

#[cfg(test)]
mod tests {
    use starttls::Untrusted;

    use super::*;

    fn said(rule: Rule, said: &str) -> Error {
        Error::Protocol { error: rule, said: said.to_owned() }
    }

    #[test]
    fn the_scheme_to_try() {
        for (url, rule, first, expected) in [
            ("smtp://h:465", Rule::Syntax, "\\x15\\x03\\x03\\x00\\x02", Some("try smtps://h:465.")),
            ("lmtp://h", Rule::Syntax, "\\x15\\x03\\x03", Some("lmtp has no scheme")),
            ("smtp://[::1]:465", Rule::TimedOut, "", Some("try smtps://[::1]:465.")),
            ("lmtp://h", Rule::TimedOut, "", None),
            ("smtp://h:22", Rule::Syntax, "SSH-2.0-x", Some("The server speaks SSH.")),
            ("smtps://h:80", Rule::Syntax, "HTTP/1.1 400", Some("The server speaks HTTP.")),
            ("smtp://h", Rule::Syntax, "250 x", None),
            ("smtp://h", Rule::TimedOut, "220 x", None),
        ] {
            let hint = hint(&said(rule, first), &url.parse().expect("a URL"), "");
            match expected {
                None => assert_eq!(hint, None, "{url} {first}"),
                Some(expected) => {
                    let hint = hint.unwrap_or_default();
                    assert!(hint.contains(expected), "{url} {first}: {hint}");
                }
            }
        }
    }

    #[test]
    fn each_greeting_is_known() {
        let mut known = 0;
        for server in Scheme::value_variants() {
            let greeting = speaking!(server, P => P::PHRASES.greeting);
            let greeting = Untrusted::new(greeting.trim_ascii_end()).to_string();
            if greeting.is_empty() || server.mode == Mode::Implicit {
                continue;
            }
            known += 1;
            let name = server.protocol().name;
            let alike = spoken(&greeting);
            assert!(alike.contains(&name), "{greeting}");
            for client in Scheme::value_variants() {
                let url = Url::new(*client, "h".to_owned(), 1);
                let hint = hint(&said(Rule::Syntax, &greeting), &url, "");
                if alike.contains(&client.protocol().name) {
                    assert_eq!(hint, None, "{url} {greeting}");
                    continue;
                }
                let hint = hint.unwrap_or_default();
                assert!(hint.contains("try "), "{url} {greeting}: {hint}");
                assert!(hint.contains(&format!(" {name}")), "{url} {greeting}: {hint}");
            }
            // The first output is more telling than the last.
            let other = Scheme::value_variants().iter().find(|other| {
                !alike.contains(&other.protocol().name) && other.mode == Mode::StartTls
            });
            let url = Url::new(*other.expect("one"), "h".to_owned(), 1);
            let error = said(Rule::NotOffered, "what?");
            assert!(hint(&error, &url, &greeting).is_some(), "{url} {greeting}");
        }
        assert!(known > 4, "{known}");
    }

    #[test]
    fn servers_whose_clients_speak_first() {
        let stream = "<?xml version='1.0'?><stream:stream xmlns='jabber:client'";
        assert_eq!(spoken(stream).len(), 1);
        assert_ne!(spoken(stream), spoken(&stream.replace("client", "server")));
        assert_eq!(spoken("<stream:error>").len(), 2);
        for (said, names) in [
            (":irc.example NOTICE * :*** Looking up your hostname", &["irc"][..]),
            ("NOTICE AUTH :*** Checking Ident", &["irc"]),
            (":irc.example 451 * STARTTLS :You have not registered", &["irc"]),
            ("ERROR :Closing Link: [192.0.2.1]", &["irc"]),
            ("ERROR", &[]),
            ("<html>", &[]),
        ] {
            let spoken = spoken(said);
            assert!(names.iter().all(|name| spoken.contains(name)), "{said}: {spoken:?}");
            assert_eq!(names.is_empty(), spoken.is_empty(), "{said}: {spoken:?}");
        }
    }

    #[test]
    fn a_name_in_a_greeting_decides() {
        let all = spoken("220 hello");
        assert!(all.len() > 2, "{all:?}");
        for name in all {
            let said = format!("220 E{} ready", name.to_ascii_uppercase());
            assert_eq!(spoken(&said), [name]);
        }
    }

    #[test]
    fn unescaping_reverses_escaping() {
        let octets: Vec<u8> = (0..=255).collect();
        assert_eq!(unescaped(&Untrusted::new(&octets).to_string()), octets);
    }
}

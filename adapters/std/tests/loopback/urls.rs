//! Settings from a URL.

use starttls::Policy;
use starttls_std::{Error, MailUrl, Route, Settings};

fn settings(text: &str) -> Settings<()> {
    text.parse::<MailUrl>().unwrap_or_else(|error| panic!("{text}: {error}")).settings(())
}

#[test]
fn hosts_ports_and_names() {
    for (text, host, port, name) in [
        ("smtp://mail.example.org", "mail.example.org", 587, "mail.example.org"),
        ("smtp://mail.example.org/", "mail.example.org", 587, "mail.example.org"),
        ("smtps://mail.example.org", "mail.example.org", 465, "mail.example.org"),
        ("lmtp://mail.example.org", "mail.example.org", 24, "mail.example.org"),
        ("smtp://192.0.2.1:25?name=mail.example.org", "192.0.2.1", 25, "mail.example.org"),
        ("smtp://[2001:db8::1]:25", "2001:db8::1", 25, "2001:db8::1"),
        ("SMTP://mail.example.org:2525", "mail.example.org", 2525, "mail.example.org"),
        ("lmtp:///run/lmtp%20a.sock", "localhost", 24, "localhost"),
    ] {
        let settings = settings(text);
        assert_eq!(
            (settings.host(), settings.port(), settings.name()),
            (host, port, name),
            "{text}"
        );
        assert_eq!(settings.is_lmtp(), text.starts_with("lmtp"));
    }
    let unix = settings("lmtp:///run/lmtp%20a.sock?tls=none");
    assert!(matches!(unix.route(), Route::Unix(path) if path.to_str() == Some("/run/lmtp a.sock")));
    assert_eq!(unix.policy(), Policy::Opportunistic);
    let proxied = settings("smtp://a.example?proxy=socks5://me:p%2540@proxy.example:1081");
    let Route::Proxy(proxy) = proxied.route() else { panic!("{:?}", proxied.route()) };
    assert_eq!(proxy.to_string(), "proxy.example:1081");
    assert_eq!(
        settings("smtp://a.example?timeout=7").timeouts().total().map(|t| t.as_secs()),
        Some(7)
    );
}

#[test]
fn what_is_wrong_is_said_without_the_password() {
    for (text, part) in [
        ("mail.example.org", "cannot be read"),
        ("gopher://mail.example.org", "smtp://, smtps:// or lmtp://"),
        ("smtp://", "has no host"),
        ("smtp:///", "has no host"),
        ("smtp://mail.example.org/inbox", "path after the host"),
        ("smtp://mail.example.org#x", "path after the host"),
        ("smtp://b\u{fc}cher.example", "A-labels"),
        ("smtp://a b", "space or a control"),
        ("smtp://a\r\nb", "space or a control"),
        ("smtp://a%0d%0ab", "host"),
        ("smtp://a.example?tsl=required", "known are tls, name"),
        ("smtp://a.example?tls=yes", "known are required"),
        ("smtp://a.example?tls=required&tls=none", "twice"),
        ("smtps://a.example?tls=none", "smtps://"),
        ("smtp://me:PASSWORD@a.example?tls=opportunistic", "leave out tls="),
        ("smtp://me@a.example", "without a password"),
        ("smtp://:PASSWORD@a.example", "without a user name"),
        ("smtp://me:PASSWORD@a.example?auth=magic", "known are"),
        ("smtp://me:PASSWORD@a.example?auth=external", "no password"),
        ("smtp://me:PASSWORD@a.example?password-file=/nonexistent", "and a password-file"),
        ("smtp://me@a.example?password-file=/nonexistent", "/nonexistent: "),
        ("smtp://me:PASSWORD%00@a.example", "user name or password"),
        ("smtp://a.example?timeout=0", "number of seconds"),
        ("smtp://a.example?timeout=1h", "number of seconds"),
        ("smtp://a.example?ehlo=a..%20b", "ehlo"),
        ("smtp://a.example?name=a%20b", "neither a host name"),
        ("smtp://a.example?proxy=gopher://b", "socks5://HOST:PORT"),
        ("smtp://a.example?proxy=proxy:1080", "the proxy's URL has no host"),
        ("lmtp:///run/x?proxy=http://b", "needs no proxy"),
        ("smtp://a.example?name=%ff", "not UTF-8"),
    ] {
        let error = text.parse::<MailUrl>().expect_err(text);
        assert!(matches!(error, Error::Argument { .. }), "{text}: {error:?}");
        let said = error.to_string();
        assert!(said.contains(part), "{text}: {said}");
        assert!(!said.contains("PASSWORD"), "{said}");
    }
}

#[test]
fn a_password_is_never_shown() {
    let url: MailUrl = "smtp://m%40e:PASSWORD@a.example".parse().expect("a URL");
    assert_eq!(url.to_string(), "smtp://m%40e@a.example:587");
    let settings = url.settings(());
    for shown in [format!("{url:?}"), format!("{settings:?}")] {
        assert!(shown.contains("a.example") && !shown.contains("PASSWORD"), "{shown}");
    }
}

/// A line of a configuration file, and a mail by it.
#[cfg(feature = "serde")]
#[test]
fn a_mail_by_the_url_of_a_file() {
    use starttls::lmtp::Lmtp;
    use starttls::mail::{Address, Envelope};
    use starttls::smtp::Smtp;
    use starttls_std::{Mailer, Silent};

    use crate::common::{Identity, serve};

    #[derive(serde::Deserialize)]
    struct File {
        mail: MailUrl,
    }

    let identity = Identity::new();
    let (port, taken) = serve::<Lmtp>(identity.inbox());
    let text = format!("{{\"mail\": \"lmtp://localhost:{port}?timeout=60\"}}");
    let file: File = serde_json::from_str(&text).expect("a URL");
    let settings = file.mail.settings(identity.client.clone());
    let to = [Address::new("a@b.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("recipients");
    let mailer = Mailer::new(settings);
    // The other protocol is refused before anything is dialled.
    let refused = mailer.send_as::<Smtp>(&envelope, &b"x\r\n"[..], Silent);
    assert!(matches!(refused, Err(Error::Argument { .. })), "{refused:?}");
    mailer.send(&envelope, &b"x\r\n"[..]).expect("delivered");
    let (mails, end) = taken.join().expect("no panic");
    end.expect("a clean end");
    assert_eq!(mails.len(), 1);
    assert!(serde_json::from_str::<File>("{\"mail\": \"smtp://me:PASSWORD@\"}").is_err());
}

#[test]
fn a_variable_of_the_environment_is_named_and_not_shown() {
    // Not set, and one that is no URL of mail on any machine.
    for name in ["STARTTLS_TEST_NOT_SET", "CARGO_MANIFEST_DIR"] {
        let error = MailUrl::from_env(name).expect_err("no URL").to_string();
        assert!(error.starts_with(name), "{error}");
        assert!(!error.contains(env!("CARGO_MANIFEST_DIR")), "{error}");
    }
}

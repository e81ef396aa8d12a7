//! Servers that are identified by their domains.

use starttls::smtp::Smtp;
use starttls::xmpp::Xmpp;
use starttls_std::Mode;
use test_names::World;

use crate::common::{starttls, text, tls_scripted_for};
use crate::structured::is_told_in_words;

const NAME: &str = "insecure.test";

const SCRIPT: &[&str] = &["</stream:stream>"];

#[test]
fn the_host_is_not_the_domain() {
    let (at_host, ca) = tls_scripted_for::<Xmpp>(NAME, Mode::StartTls, &[SCRIPT; 2]);
    let ca = ca.path().to_str().expect("UTF-8");
    let with_domain = format!("{at_host}?domain={NAME}");
    for arguments in [&[&with_domain[..]][..], &[&at_host, "--domain", NAME]] {
        let output = starttls(&[&["probe", "--ca", ca], arguments].concat(), b"");
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
        // The part that fits into one line of the picture.
        assert!(said.contains("to='insecure.t"), "{said}");
        assert!(said.contains(&format!("yes, as {NAME}")), "{said}");
    }
    let twice = ["probe", "--ca", ca, &with_domain, "--domain", "other.test"];
    let output = starttls(&twice, b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("pass only one of the two"), "{}", text(&output.stderr));
    let output = starttls(&["probe", "xmpp://localhost:1", "--name", "a..b"], b"");
    assert!(text(&output.stderr).contains("--name"), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_a_domain() {
    let (asked, ca) = tls_scripted_for::<Xmpp>(NAME, Mode::StartTls, &[SCRIPT]);
    let (direct, direct_ca) =
        tls_scripted_for::<Xmpp>("direct.insecure.test", Mode::Implicit, &[SCRIPT]);
    let (first, other) = tls_scripted_for::<Smtp>("first.insecure.test", Mode::Implicit, &[SCRIPT]);
    let port = |url: &str| url.rsplit(':').next().expect("a port").to_owned();
    let zone = format!(
        "_xmpp-client._tcp 60 IN SRV 10 0 1 localhost.\n\
         _xmpp-client._tcp 60 IN SRV 20 0 {} localhost.\n\
         _xmpp-client._tcp.first 60 IN SRV 10 0 1 localhost.\n\
         _xmpps-client._tcp.first 60 IN SRV 5 0 {} localhost.\n\
         _xmpp-client._tcp.none 60 IN SRV 0 0 0 .\n\
         _xmpp-client._tcp.direct 60 IN SRV 1 0 {} localhost.\n\
         _xmpps-client._tcp.direct 60 IN SRV 10 0 {} localhost.\n\
         _xmpps-client._tcp.nodirect 60 IN SRV 0 0 0 .\n",
        port(&asked),
        port(&first),
        port(&asked),
        port(&direct),
    );
    let world = World::new("", &zone, "").await;
    let (dns, anchor) = (world.address().to_string(), world.anchor().display().to_string());
    for (place, ca, code, said) in [
        // The first host is unreachable.
        ("xmpp://insecure.test", &ca, 0, "yes, as insecure.test"),
        ("xmpp://first.insecure.test", &other, 0, "yes, as first.insecure.test"),
        ("xmpp://none.insecure.test", &ca, 8, "no such service"),
        // Without records it is the domain itself, which does not resolve.
        ("xmpp://nowhere.insecure.test", &ca, 8, "looking up the host"),
        // With implicit TLS only its records count.
        ("xmpps://direct.insecure.test", &direct_ca, 0, "yes, as direct.insecure.test"),
        ("xmpps://nodirect.insecure.test", &direct_ca, 8, "no such service"),
    ] {
        let ca = ca.path().to_str().expect("UTF-8");
        let arguments = [
            "probe",
            place,
            "--ca",
            ca,
            "--resolver",
            &dns,
            "--trust-anchor",
            &anchor,
            "--timeout",
            "20",
        ];
        let output = tokio::task::block_in_place(|| starttls(&arguments, b""));
        let all = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{place}: {all}");
        assert!(all.contains(said), "{place}: {all}");
    }
    let output = starttls(&["probe", "smtp://localhost:1", "--resolver", &dns], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("needs no lookup"), "{}", text(&output.stderr));
}

#[test]
fn a_stream_error_is_told_in_words() {
    for (scheme, of, condition) in
        [("xmpp", "client", "<host-unknown/>"), ("xmpp-server", "server", "<policy-violation/>")]
    {
        let head = format!(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:{of}' version='1.0' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        let error = format!("<stream:error>{condition}</stream:error>");
        is_told_in_words(scheme, vec![(1, [head, error.clone()].concat().into_bytes())], &error);
    }
}

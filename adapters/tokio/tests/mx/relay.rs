use std::pin::Pin;

use starttls::mail::session::Fate;
use starttls::mail::{Address, Envelope};
use starttls::mx::dane::Usage;
use starttls::mx::{Dane, Domain, Options, Skip, Undeliverable};
use starttls_tokio::mx::{Delivery, Problem, Protection, Relay, Undelivered};
use starttls_tokio::{Error, Silent};

use crate::host::{Host, Hosts};
use crate::identity::Authority;
use crate::world::World;

const MESSAGE: &[u8] = b"Subject: test\r\n\r\nHello.\r\n";

pub(crate) async fn send(relay: &Relay, domain: &str) -> Result<Delivery, Undelivered> {
    mail(relay, domain, false).await
}

async fn mail(relay: &Relay, domain: &str, required: bool) -> Result<Delivery, Undelivered> {
    let to = [Address::new("you@example.test").expect("an address")];
    let from = Address::new("me@example.test").expect("an address");
    let mut envelope = Envelope::new(Some(from), &to).expect("an envelope");
    if required {
        envelope = envelope.with_required_tls();
    }
    let domain = Domain::new(domain).expect("a name");
    // Boxed as on a multi-threaded runtime.
    let sent: Pin<Box<dyn Future<Output = _> + Send>> =
        Box::pin(relay.send(&domain, &envelope, MESSAGE));
    sent.await
}

pub(crate) fn relay(world: &World, authority: &Authority, hosts: &Hosts) -> Relay {
    let options = Options::default().with_port(hosts.port);
    Relay::new(world.dns(), authority.trust.clone()).with_options(options)
}

/// The attempts in words.
fn tried(undelivered: &Undelivered) -> Vec<String> {
    undelivered.attempts.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn by_dane() {
    let authority = Authority::new();
    let [good, stranger] = ["mx.good.test", "mx.good.test"].map(|name| authority.identity(&[name]));
    let hosts = [Host::Tls(good.clone()), Host::Plain, Host::Tls(stranger), Host::NotNow];
    let hosts = Hosts::new(hosts).await;
    let port = hosts.port;
    let record = format!("TLSA 3 0 0 {}", good.certificate);
    let world = World::new(
        &format!(
            "good.test. 60 IN MX 10 mx.good.test.\n\
             mx.good.test. 60 IN A 127.0.0.1\n\
             _{port}._tcp.mx.good.test. 60 IN {record}\n\
             stripped.test. 60 IN MX 10 mx.stripped.test.\n\
             mx.stripped.test. 60 IN A 127.0.0.2\n\
             _{port}._tcp.mx.stripped.test. 60 IN {record}\n\
             swapped.test. 60 IN MX 10 mx.swapped.test.\n\
             mx.swapped.test. 60 IN A 127.0.0.3\n\
             _{port}._tcp.mx.swapped.test. 60 IN {record}\n\
             refused.test. 60 IN MX 10 mx.refused.test.\n\
             mx.refused.test. 60 IN A 127.0.0.4\n\
             _{port}._tcp.mx.refused.test. 60 IN {record}\n\
             denied.test. 60 IN MX 10 mx.denied.test.\n\
             mx.denied.test. 60 IN A 127.0.0.2\n\
             _{port}._tcp.mx.denied.test. 60 IN {record}\n\
             all.test. 60 IN MX 10 mx.stripped.test.\n\
             all.test. 60 IN MX 20 mx.swapped.test.\n\
             all.test. 60 IN MX 30 mx.good.test.\n\
             mx.test. 60 IN A 127.0.0.1\n"
        ),
        &format!(
            "@ 60 IN MX 10 mx.good.test.\n\
             half 60 IN MX 10 mx\n\
             mx 60 IN A 127.0.0.3\n\
             _{port}._tcp.mx 60 IN {record}\n"
        ),
        &format!(
            "@ 60 IN MX 10 mx.good.test.\nmx 60 IN A 127.0.0.1\n_{port}._tcp.mx 60 IN {record}\n"
        ),
    )
    .await;
    let relay = relay(&world, &authority, &hosts);

    let delivery = send(&relay, "good.test").await.expect("delivered");
    assert_eq!(delivery.protection, Protection::Dane(Usage::EndEntity));
    assert!(delivery.host.is_secure && delivery.receipt.is_complete());
    let delivery = send(&relay, "insecure.test").await.expect("delivered");
    assert_eq!(delivery.protection, Protection::Dane(Usage::EndEntity));
    assert!(!delivery.host.is_secure);
    assert_eq!(hosts.arrived(), [(0, true), (0, true)]);

    for domain in ["stripped.test", "refused.test", "swapped.test", "denied.test", "bogus.test"] {
        let undelivered = send(&relay, domain).await.expect_err(domain);
        assert!(undelivered.is_temporary() && undelivered.fate() == Fate::NotSent, "{domain}");
        let bogus = (domain == "bogus.test").then_some(Undeliverable::LookupFailed);
        assert_eq!(undelivered.why, bogus, "{domain}");
    }
    assert_eq!(hosts.arrived().len(), 2, "no other mail arrived");

    let delivery = send(&relay, "all.test").await.expect("delivered");
    assert_eq!(delivery.host.name.as_str(), "mx.good.test");
    let problems: Vec<_> = delivery.attempts.iter().map(|attempt| &attempt.problem).collect();
    let [Problem::Failed(stripped), Problem::Failed(Error::Tls(_))] = problems[..] else {
        panic!("{problems:?}");
    };
    assert_eq!(
        delivery.attempts[1].to_string(),
        "mx.swapped.test [127.0.0.3]: TLS: its certificate matches none of its TLSA records"
    );
    assert_eq!(stripped.protocol(), Some(starttls::Error::NotOffered));

    // Records in an unsigned zone are ignored.
    let delivery = send(&relay, "half.insecure.test").await.expect("delivered");
    assert_eq!(delivery.protection, Protection::Encrypted, "its certificate has another name");
    assert!((1..=60).contains(&delivery.host.ttl), "{:?}", delivery.host);

    let options = relay.options().with_dane(Dane::Mandatory);
    let strict = relay.clone().with_options(options);
    let undelivered = send(&strict, "half.insecure.test").await.expect_err("insecure");
    assert_eq!(undelivered.why, Some(Undeliverable::Insecure));
    let undelivered = send(&strict, "mx.test").await.expect_err("no records");
    let [attempt] = &undelivered.attempts[..] else { panic!("{undelivered}") };
    assert!(matches!(attempt.problem, Problem::Skipped(Skip::NoRecords)));
}

#[tokio::test]
async fn whatever_is_available() {
    let authority = Authority::new();
    let identity = authority.identity(&["mx.example.test"]);
    let hosts = [
        Host::Tls(identity.clone()),
        Host::Plain,
        Host::Broken,
        Host::Injects(identity.clone()),
        Host::Greets("421 busy"),
        Host::Greets("554 go away"),
        Host::Says(identity.clone(), "450 later"),
        Host::Says(identity.clone(), "550 never"),
        Host::Dies(identity),
    ];
    let hosts = Hosts::new(hosts).await;
    let mut zone = String::new();
    for (place, name) in
        ["tls", "plain", "broken", "injects", "busy", "away", "later", "never", "dies"]
            .iter()
            .enumerate()
    {
        zone += &format!("{name} 60 IN A 127.0.0.{}\n", place + 1);
        zone += &format!("m.{name} 60 IN MX 10 {name}\nm.{name} 60 IN MX 20 tls\n");
    }
    zone += "two 60 IN A 127.0.0.5\ntwo 60 IN A 127.0.0.2\nnull 60 IN MX 0 .\nnone 60 IN TXT x\n";
    let world = World::new("", &zone, "").await;
    let relay = relay(&world, &authority, &hosts);

    let rows = [
        ("tls", 0, Protection::Encrypted, 0),
        ("plain", 1, Protection::Plaintext, 0),
        // Its TLS is broken, and the domain demands none.
        ("broken", 2, Protection::Plaintext, 0),
        ("m.injects", 0, Protection::Encrypted, 1),
        ("m.busy", 0, Protection::Encrypted, 1),
        ("m.away", 0, Protection::Encrypted, 1),
        ("m.later", 0, Protection::Encrypted, 1),
        // The other address of the same host.
        ("two", 1, Protection::Plaintext, usize::MAX),
    ];
    for (count, (domain, host, protection, attempts)) in rows.into_iter().enumerate() {
        let domain = format!("{domain}.insecure.test");
        let delivery = send(&relay, &domain).await.expect(&domain);
        assert_eq!(delivery.protection, protection, "{domain}");
        if attempts != usize::MAX {
            assert_eq!(delivery.attempts.len(), attempts, "{domain}: {:?}", delivery.attempts);
        }
        let arrived = hosts.arrived();
        let tls = protection != Protection::Plaintext;
        assert_eq!(arrived.len(), count + 1, "{domain}");
        assert_eq!(arrived[count], (host, tls), "{domain}");
    }
    let before = hosts.arrived();
    let rows = [
        ("never", "550 never", false, Fate::NotSent),
        ("m.never", "550 never", false, Fate::NotSent),
        ("later", "450 later", true, Fate::NotSent),
        ("away", "554 go away", true, Fate::NotSent),
        ("m.dies", "the server may have the mail", true, Fate::Unknown),
        ("null", "it accepts no mail (null MX)", false, Fate::NotSent),
        ("gone", "it does not exist", false, Fate::NotSent),
        ("none", "it has no address", true, Fate::NotSent),
    ];
    for (domain, said, temporary, fate) in rows {
        let domain = format!("{domain}.insecure.test");
        let undelivered = send(&relay, &domain).await.expect_err(&domain);
        let shown = undelivered.to_string();
        assert!(shown.contains(&domain) && shown.contains(said), "{shown}");
        assert_eq!(undelivered.is_temporary(), temporary, "{shown}");
        assert_eq!(undelivered.fate(), fate, "{shown}");
        assert!(undelivered.attempts.len() < 2, "{shown}");
    }
    // No host accepts bytes above 127.
    let to = [Address::new("you@example.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("an envelope").with_eight_bit();
    let domain = Domain::new("tls.insecure.test").expect("a name");
    let undelivered = relay.send(&domain, &envelope, MESSAGE).await.expect_err("unsupported");
    assert!(!undelivered.is_temporary(), "{undelivered}");
    assert_eq!(hosts.arrived(), before);
}

#[tokio::test]
async fn all_the_way_or_not_at_all() {
    let authority = Authority::new();
    let identity = authority.identity(&["mx.good.test"]);
    let hosts = [Host::Plain, Host::Tls(identity.clone()), Host::Keeps(identity)];
    let hosts = Hosts::new(hosts).await;
    let world = World::new(
        "good.test. 60 IN MX 10 a.good.test.\n\
         good.test. 60 IN MX 20 mx.good.test.\n\
         bad.test. 60 IN MX 10 a.good.test.\n\
         a.good.test. 60 IN A 127.0.0.1\n\
         mx.good.test. 60 IN A 127.0.0.2\n\
         mx.good.test. 60 IN A 127.0.0.3\n",
        "@ 60 IN MX 10 mx.good.test.\n",
        "",
    )
    .await;
    let relay = relay(&world, &authority, &hosts);

    let delivery = mail(&relay, "good.test", true).await.expect("delivered");
    assert_eq!(delivery.protection, Protection::Pkix);
    let mails = hosts.mails();
    assert!(mails.len() == 1 && mails[0].sender.ends_with(" REQUIRETLS"), "{mails:?}");
    assert_eq!((mails[0].host, mails[0].message.as_str()), (2, "Subject: testHello."));

    let undelivered = mail(&relay, "bad.test", true).await.expect_err("no TLS");
    assert!(!undelivered.is_temporary(), "{:?}", tried(&undelivered));
    let undelivered = mail(&relay, "insecure.test", true).await.expect_err("insecure");
    assert_eq!(
        tried(&undelivered),
        ["mx.good.test: neither DNSSEC nor MTA-STS confirms that it is a host of the domain"]
    );
    assert!(!undelivered.is_temporary() && hosts.arrived().len() == 1);

    // A delivery status notification may be sent in any case.
    let to = [Address::new("you@example.test").expect("an address")];
    let report = Envelope::new(None, &to).expect("an envelope").with_required_tls();
    let domain = Domain::new("bad.test").expect("a name");
    let delivery = relay.send(&domain, &report, MESSAGE).await.expect("delivered");
    assert_eq!(delivery.protection, Protection::Plaintext);
    assert_eq!(hosts.mails()[1].sender, "MAIL FROM:<>");
}

#[tokio::test]
async fn mail_more_important_than_secrecy() {
    let authority = Authority::new();
    let hosts = Hosts::new([Host::Broken]).await;
    let port = hosts.port;
    let world = World::new(
        &format!(
            "good.test. 60 IN A 127.0.0.1\n\
             _{port}._tcp.good.test. 60 IN TLSA 3 1 1 {}\n",
            "00".repeat(32)
        ),
        "",
        "",
    )
    .await;
    let relay = relay(&world, &authority, &hosts);
    let undelivered = send(&relay, "good.test").await.expect_err("broken");
    assert_eq!((undelivered.attempts.len(), hosts.arrived().len()), (1, 0));
    let options = relay.options().with_tls_optional(true);
    let relay = relay.with_options(options);
    let delivery = send(&relay, "good.test").await.expect("delivered");
    assert_eq!(delivery.protection, Protection::Plaintext);
}

#[tokio::test]
async fn more_recipients_than_a_host_accepts_at_once() {
    let authority = Authority::new();
    let identity = authority.identity(&["mx.example.test"]);
    let hosts = Hosts::new([
        Host::Limits(identity.clone(), 3),
        Host::Says(identity.clone(), "450 4.2.0 later"),
        Host::Limits(identity, 100),
    ])
    .await;
    let zone = "few 60 IN A 127.0.0.1\nlater 60 IN MX 10 a\nlater 60 IN MX 20 b\n\
        a 60 IN A 127.0.0.2\nb 60 IN A 127.0.0.3\n";
    let world = World::new("", zone, "").await;
    let relay = relay(&world, &authority, &hosts);
    let names: Vec<String> = (0..8).map(|n| format!("{n}@b.test")).collect();
    let to: Vec<_> = names.iter().map(|name| Address::new(name).expect("an address")).collect();
    let envelope = Envelope::new(None, &to).expect("recipients");
    let few = Domain::new("few.insecure.test").expect("a name");
    // A reader provides the message only once.
    let delivery = relay.send(&few, &envelope, MESSAGE).await.expect("delivered");
    assert_eq!(delivery.receipt.left_out(), [3, 4, 5, 6, 7]);
    for (domain, mails) in [("few.insecure.test", 4), ("later.insecure.test", 5)] {
        let domain = Domain::new(domain).expect("a name");
        let mut silent = Silent;
        let sent: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(relay.send_to_all_observed(&domain, &envelope, || MESSAGE, &mut silent));
        let delivery = sent.await.expect("delivered");
        assert!(delivery.receipt.is_complete(), "{:?}", delivery.receipt);
        assert_eq!(hosts.arrived().len(), mails, "{domain}");
    }
    assert!(hosts.mails().iter().all(|mail| mail.message == "Subject: testHello."));
}

/// A host that replies 4xx to the message does not have the mail.
#[tokio::test]
async fn a_temporary_refusal_of_the_message_leads_to_the_next_host() {
    let authority = Authority::new();
    let identity = authority.identity(&["mx.example.test"]);
    let hosts = Hosts::new([
        Host::Refuses(identity.clone(), "421 4.3.2 closing"),
        Host::Refuses(identity.clone(), "451 4.3.0 later"),
        Host::Tls(identity),
    ])
    .await;
    let zone = "later 60 IN MX 10 a\nlater 60 IN MX 20 b\nlater 60 IN MX 30 c\n\
        a 60 IN A 127.0.0.1\nb 60 IN A 127.0.0.2\nc 60 IN A 127.0.0.3\n";
    let world = World::new("", zone, "").await;
    let relay = relay(&world, &authority, &hosts);
    let to = [Address::new("you@example.test").expect("an address")];
    let envelope = Envelope::new(None, &to).expect("an envelope");
    let domain = Domain::new("later.insecure.test").expect("a name");
    let sent = relay.send_to_all_observed(&domain, &envelope, || MESSAGE, &mut Silent).await;
    let delivery = sent.expect("delivered");
    let problems: Vec<_> = delivery.attempts.iter().map(|attempt| attempt.to_string()).collect();
    assert!(problems.len() == 2 && problems[0].contains("421 4.3.2"), "{problems:?}");
    assert_eq!(hosts.arrived(), [(2, true)]);

    // A message that can be read only once is not sent to another host, and the error says so.
    let undelivered = send(&relay, "later.insecure.test").await.expect_err("refused");
    assert_eq!((undelivered.fate(), undelivered.attempts.len()), (Fate::NotAccepted, 1));
    assert!(undelivered.is_temporary());
    assert!(undelivered.to_string().ends_with("can be read only once"), "{undelivered}");
}

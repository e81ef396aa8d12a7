use std::net::Ipv4Addr;
use std::time::Duration;

use starttls::mx::{Dane, Domain, Options, ResultType, Skip, sts};
use starttls_tokio::Timeouts;
use starttls_tokio::mx::{Cache, Demand, Problem, Protection, Relay};
use test_dropped::drop_woken;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::host::{Host, Hosts};
use crate::identity::{Authority, Identity};
use crate::relay::{relay, send};
use crate::world::World;

/// The policy host's address, separate from the mail hosts.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

pub(crate) struct PolicyHost {
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

impl PolicyHost {
    /// Answers requests for a host's policy with these bytes.
    pub(crate) async fn new(identity: Identity, answers: &[(&str, String)]) -> Self {
        let listener = TcpListener::bind((ADDRESS, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let answers: Vec<_> = answers
            .iter()
            .map(|(domain, answer)| (format!("\r\nhost: mta-sts.{domain}\r\n"), answer.clone()))
            .collect();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let Ok(mut stream) = identity.acceptor.accept(stream).await else { continue };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") && request.len() < 10_000 {
                    match stream.read_u8().await {
                        Ok(octet) => request.push(octet),
                        Err(_) => break,
                    }
                }
                // A client that was dropped after the handshake sends no request.
                if request.is_empty() {
                    continue;
                }
                let request = String::from_utf8_lossy(&request).to_lowercase();
                assert!(request.starts_with("get /.well-known/mta-sts.txt http/1.1\r\n"));
                let answer = answers.iter().find(|(host, _)| request.contains(host));
                let (_, answer) = answer.expect("a known host");
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, task }
    }

    fn stop(self) {
        self.task.abort();
    }
}

pub(crate) fn page(text: &str) -> String {
    let length = text.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{text}"
    )
}

pub(crate) fn policy(mode: &str, mx: &str) -> String {
    page(&format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n"))
}

/// The DNS records of a domain that announces a policy with this id.
pub(crate) fn announced(domain: &str, id: &str) -> String {
    format!(
        "_mta-sts.{domain} 60 IN TXT \"v=STSv1; \" \"id={id}\"\nmta-sts.{domain} 60 IN A {ADDRESS}\n"
    )
}

async fn demand(relay: &Relay, domain: &str) -> (Demand, Option<ResultType>) {
    let domain = Domain::new(domain).expect("a name");
    let mut route = relay.route(&domain);
    let host = route.next().await.expect("hosts").expect("a host");
    (host.demand, route.policy_failure().map(|(result, _)| result))
}

#[tokio::test]
async fn enforced() {
    let authority = Authority::new();
    let hosts = [
        Host::Tls(authority.identity(&["mx.insecure.test"])),
        Host::Plain,
        Host::Tls(authority.identity(&["other.test"])),
        Host::Tls(Authority::new().identity(&["d.insecure.test"])),
    ];
    let hosts = Hosts::new(hosts).await;
    let identity = authority.identity(&["mta-sts.insecure.test", "mta-sts.test.insecure.test"]);
    let answers = [
        ("insecure.test", policy("enforce", "*.insecure.test")),
        ("test.insecure.test", policy("testing", "mx.insecure.test")),
    ];
    let host = PolicyHost::new(identity, &answers).await;
    let zone = [
        "@ 60 IN MX 1 unlisted.other.insecure.test.\n\
         @ 60 IN MX 2 plain\n\
         @ 60 IN MX 3 named\n\
         @ 60 IN MX 4 issued\n\
         @ 60 IN MX 5 mx\n\
         test 60 IN MX 1 plain\n\
         unlisted.other 60 IN A 127.0.0.1\n\
         plain 60 IN A 127.0.0.2\n\
         named 60 IN A 127.0.0.3\n\
         issued 60 IN A 127.0.0.4\n\
         mx 60 IN A 127.0.0.1\n",
        &announced("insecure.test.", "1"),
        &announced("test.insecure.test.", "1"),
    ]
    .concat();
    let world = World::new("", &zone, "").await;
    let mut relay = relay(&world, &authority, &hosts);
    relay = relay.with_policy_port(host.port);

    let delivery = send(&relay, "insecure.test").await.expect("delivered");
    assert_eq!((delivery.protection, hosts.arrived()), (Protection::Pkix, vec![(0, true)]));
    let problems: Vec<_> = delivery.attempts.iter().map(|attempt| &attempt.problem).collect();
    let [
        Problem::Skipped(Skip::NotListed),
        Problem::Failed(plain),
        Problem::Failed(named),
        Problem::Failed(issued),
    ] = &problems[..]
    else {
        panic!("{problems:?}");
    };
    assert_eq!(plain.protocol(), Some(starttls::Error::NotOffered));
    assert!(
        named.to_string().contains("not for \"named.insecure.test\" but for other.test"),
        "{named}"
    );
    assert!(issued.to_string().contains("the signature on the certificate is wrong"), "{issued}");

    assert_eq!(demand(&relay, "test.insecure.test").await.0, Demand::Testing { listed: false });
    let delivery = send(&relay, "test.insecure.test").await.expect("delivered");
    assert_eq!(delivery.protection, Protection::Plaintext);

    // A cached policy applies whatever the attacker blocks.
    host.stop();
    let zone = "@ 60 IN MX 1 plain\nplain 60 IN A 127.0.0.2\n";
    let attacked = World::new("", zone, "").await;
    let attacked = relay.clone().with_dns(attacked.dns());
    let undelivered = send(&attacked, "insecure.test").await.expect_err("no TLS");
    assert!(undelivered.is_temporary(), "{undelivered}");
    let fresh = attacked.with_cache(Cache::memory());
    send(&fresh, "insecure.test").await.expect("delivered: a fresh cache has no policy");
}

#[tokio::test]
async fn announced_and_not_available() {
    let authority = Authority::new();
    let hosts = Hosts::new([Host::Plain]).await;
    let good = policy("enforce", "mx.insecure.test");
    let long = format!(
        "version: STSv1\r\nmode: enforce\r\nmx: mx.insecure.test\r\nmax_age: 1\r\n{}",
        "x: y\r\n".repeat(11_000)
    );
    let answers = [
        ("good.insecure.test", good.clone()),
        ("missing.insecure.test", good.replace("200 OK", "404 Not Found")),
        (
            "moved.insecure.test",
            good.replace(
                "200 OK",
                "301 Moved\r\nLocation: https://mta-sts.good.insecure.test/.well-known/mta-sts.txt",
            ),
        ),
        ("html.insecure.test", good.replace("text/plain", "text/html")),
        ("long.insecure.test", page(&long)),
        ("cut.insecure.test", good.replace("86400\r\n", "")),
        ("silent.insecure.test", String::new()),
        ("nonsense.insecure.test", page("nonsense")),
        ("stranger.insecure.test", good),
    ];
    let names: Vec<_> = answers.iter().map(|(domain, _)| format!("mta-sts.{domain}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let host = PolicyHost::new(authority.identity(&names[..8]), &answers).await;
    let mut zone = "mx 60 IN A 127.0.0.1\n".to_owned();
    for (domain, _) in &answers {
        zone += &format!("{domain}. 60 IN MX 1 mx\n{}", announced(&format!("{domain}."), "1"));
    }
    // The policy host has no address.
    zone += "lost 60 IN MX 1 mx\n_mta-sts.lost 60 IN TXT \"v=STSv1; id=1\"\n";
    let world = World::new("", &zone, "").await;
    let mut relay = relay(&world, &authority, &hosts);
    relay = relay.with_policy_port(host.port);
    relay = relay.with_timeouts(Timeouts::new().with_total(Duration::from_secs(30)));

    assert_eq!(demand(&relay, "good.insecure.test").await, (Demand::Pkix, None));
    let rows = [
        ("missing", ResultType::StsPolicyFetchError),
        ("moved", ResultType::StsPolicyFetchError),
        ("html", ResultType::StsPolicyFetchError),
        ("long", ResultType::StsPolicyFetchError),
        ("cut", ResultType::StsPolicyFetchError),
        ("silent", ResultType::StsPolicyFetchError),
        ("lost", ResultType::StsPolicyFetchError),
        ("nonsense", ResultType::StsPolicyInvalid),
        ("stranger", ResultType::StsWebpkiInvalid),
    ];
    for (domain, result) in rows {
        let domain = format!("{domain}.insecure.test");
        let expected = (Demand::Opportunistic, Some(result));
        assert_eq!(demand(&relay, &domain).await, expected, "{domain}");
    }
    host.stop();
    assert_eq!(demand(&relay, "good.insecure.test").await, (Demand::Pkix, None), "cached");
    relay = relay.with_cache(Cache::memory());
    let expected = (Demand::Opportunistic, Some(ResultType::StsPolicyFetchError));
    assert_eq!(demand(&relay, "good.insecure.test").await, expected);
}

#[tokio::test]
async fn changed() {
    let authority = Authority::new();
    let hosts = Hosts::new([Host::Plain]).await;
    let identity = authority.identity(&["mta-sts.insecure.test"]);
    let domain = "insecure.test";
    let zone =
        |id| format!("@ 60 IN MX 1 mx\nmx 60 IN A 127.0.0.1\n{}", announced("insecure.test.", id));
    let worlds = [World::new("", &zone("1"), "").await, World::new("", &zone("2"), "").await];
    let old =
        PolicyHost::new(identity.clone(), &[(domain, policy("none", "mx.insecure.test"))]).await;
    let answers = [(domain, policy("enforce", "mx.insecure.test"))];
    let new = PolicyHost::new(identity, &answers).await;
    let mut relay = relay(&worlds[0], &authority, &hosts);
    relay = relay.with_policy_port(old.port);
    assert_eq!(demand(&relay, domain).await.0, Demand::Opportunistic);
    relay = relay.with_policy_port(new.port);
    assert_eq!(demand(&relay, domain).await.0, Demand::Opportunistic, "the id is the same");
    relay = relay.with_dns(worlds[1].dns());
    assert_eq!(demand(&relay, domain).await.0, Demand::Pkix);
}

/// A record that announces no valid policy is reported.
#[tokio::test]
async fn announced_wrongly() {
    let zone = "wrong 60 IN A 127.0.0.1\n_mta-sts.wrong 60 IN TXT \"v=STSv1; id=2026-11-22\"\n\
        none 60 IN A 127.0.0.1\n";
    let world = World::new("", zone, "").await;
    let relay = Relay::new(world.dns(), Authority::new().trust);
    for (domain, expected) in
        [("wrong.insecure.test", Some(sts::Flaw::Id)), ("none.insecure.test", None)]
    {
        let domain = Domain::new(domain).expect("a name");
        let mut route = relay.route(&domain);
        let host = route.next().await.expect("hosts").expect("a host");
        assert!(matches!(host.demand, Demand::Opportunistic), "{host:?}");
        assert_eq!(route.record_flaw(), expected);
    }
}

/// A dropped lookup is repeated: it loses neither a host nor the policy.
#[tokio::test]
async fn a_dropped_route_continues() {
    let authority = Authority::new();
    let identity = authority.identity(&["mta-sts.insecure.test"]);
    let answers = [("insecure.test", policy("testing", "*.insecure.test"))];
    let host = PolicyHost::new(identity, &answers).await;
    let zone = "@ 60 IN MX 1 a\n@ 60 IN MX 2 b\n\
        a 60 IN A 127.0.0.1\nb 60 IN A 127.0.0.2\n"
        .to_owned()
        + &announced("insecure.test.", "1");
    let world = World::new("", &zone, "").await;
    let domain = Domain::new("insecure.test").expect("a name");
    let mut drops = 0;
    // The call for each of the hosts is dropped.
    for call in 0..2 {
        for polls in 0.. {
            let directory = tempfile::tempdir().expect("a directory");
            // Only the route asks for addresses then.
            let relay = Relay::new(world.dns(), authority.trust.clone())
                .with_options(Options::default().with_dane(Dane::Off))
                .with_policy_port(host.port)
                .with_cache(Cache::directory(directory.path()).expect("a cache"));
            let mut route = relay.route(&domain);
            let (mut names, mut dropped) = (Vec::new(), false);
            loop {
                let most = if names.len() == call && !dropped { polls } else { usize::MAX };
                let Some(next) = drop_woken(most, route.next()).await else {
                    dropped = true;
                    continue;
                };
                let Some(next) = next.expect("hosts") else { break };
                names.push(next.name.as_str().to_owned());
                assert_eq!(next.addresses.len(), 1, "host {call} after {polls} polls");
            }
            assert_eq!(names, ["a.insecure.test", "b.insecure.test"], "{call} {polls}");
            let known = route.policy().map(|policy| policy.is_cached);
            assert_eq!(known, Some(false), "host {call} after {polls} polls");
            if !dropped {
                break;
            }
            drops += 1;
        }
    }
    assert!(drops > 5, "{drops}");
}

use std::sync::{Arc, Mutex};

use starttls::mx::Domain;
use starttls_tokio::mx::tlsrpt::{Collector, Sender};

use crate::host::{Host, Hosts};
use crate::identity::Authority;
use crate::policies::{PolicyHost, announced, page, policy};
use crate::relay::{relay, send};
use crate::world::World;

#[tokio::test]
async fn a_domain_s_report() {
    let authority = Authority::new();
    let good = authority.identity(&["a.insecure.test", "mx.good.test"]);
    let hosts = [
        Host::Tls(good.clone()),
        Host::Plain,
        Host::Tls(Authority::new().identity(&["c.insecure.test"])),
        Host::Broken,
        Host::Greets("421 busy"),
    ];
    let hosts = Hosts::new(hosts).await;
    let port = hosts.port;
    let domains = [
        "enforced.insecure.test",
        "tested.insecure.test",
        "listed.insecure.test",
        "broken.insecure.test",
    ];
    let names: Vec<_> = domains.iter().map(|domain| format!("mta-sts.{domain}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let answers = [
        (domains[0], policy("enforce", "*.insecure.test")),
        (domains[1], policy("testing", "c.insecure.test")),
        (domains[2], policy("testing", "a.insecure.test")),
        (domains[3], page("nonsense")),
    ];
    let policies = PolicyHost::new(authority.identity(&names), &answers).await;
    let mut zone = "a 60 IN A 127.0.0.1\nb 60 IN A 127.0.0.2\nc 60 IN A 127.0.0.3\n\
         d 60 IN A 127.0.0.4\ne 60 IN A 127.0.0.5\n\
         enforced 60 IN MX 1 other.test.\n\
         enforced 60 IN MX 2 b\n\
         enforced 60 IN MX 3 c\n\
         enforced 60 IN MX 4 d\n\
         enforced 60 IN MX 5 e\n\
         enforced 60 IN MX 6 a\n\
         tested 60 IN MX 1 c\n\
         listed 60 IN MX 1 b\n\
         broken 60 IN MX 1 d\n\
         plain 60 IN MX 1 b\n\
         _smtp._tls.plain 60 IN TXT \"v=TLSRPTv1; \" \"rua=mailto:tls@example.org\"\n"
        .to_owned();
    zone.extend(domains.map(|domain| announced(&format!("{domain}."), "1")));
    let secure = format!(
        "other.test. 60 IN A 127.0.0.1\n\
         mx.good.test. 60 IN A 127.0.0.1\n\
         good.test. 60 IN MX 1 mx.good.test.\n\
         _{port}._tcp.mx.good.test. 60 IN TLSA 3 0 0 {}\n\
         swapped.test. 60 IN MX 1 mx.swapped.test.\n\
         mx.swapped.test. 60 IN A 127.0.0.3\n\
         _{port}._tcp.mx.swapped.test. 60 IN TLSA 3 0 0 {}\n\
         unusable.test. 60 IN MX 1 mx.unusable.test.\n\
         mx.unusable.test. 60 IN A 127.0.0.1\n\
         _{port}._tcp.mx.unusable.test. 60 IN TLSA 1 1 1 {}\n",
        good.certificate,
        good.certificate,
        "00".repeat(32),
    );
    let world = World::new(&secure, &zone, "").await;
    let mut relay = relay(&world, &authority, &hosts);
    relay = relay.with_policy_port(policies.port);
    let collector = Arc::new(Mutex::new(Collector::default()));
    relay = relay.with_collector(Some(Arc::clone(&collector)));
    for domain in
        domains.iter().copied().chain(["plain.insecure.test", "good.test", "unusable.test"])
    {
        send(&relay, domain).await.expect(domain);
    }
    send(&relay, "swapped.test").await.expect_err("another certificate");

    let [asks, silent] =
        ["plain.insecure.test", "good.test"].map(|name| Domain::new(name).expect("a name"));
    let recipients = relay.dns().report_recipients(&asks).await.expect("recipients");
    assert_eq!(recipients.addresses().collect::<Vec<_>>(), ["tls@example.org"]);
    assert_eq!(relay.dns().report_recipients(&silent).await, None);

    let sender = Sender::new("Example", "tls@example.com");
    let reports = collector.lock().expect("counts").reports(&sender, 0, 86_400);
    let mut told = Vec::new();
    for report in &reports {
        for policy in &report.policies {
            let (kind, summary) = (&policy.policy.policy_type, &policy.summary);
            let good = summary.total_successful_session_count;
            told.push(format!("{} {kind} {good}", report.domain()));
            for failure in &policy.failure_details {
                let mx = failure.receiving_mx_hostname.as_deref().unwrap_or("-");
                let ip = failure.receiving_ip.as_deref().unwrap_or("-");
                told.push(format!("  {} {mx} {ip}", failure.result_type));
                assert!(
                    failure.failed_session_count == 1
                        && failure.sending_mta_ip.is_some() == (ip != "-")
                );
            }
        }
    }
    let expected = [
        "broken.insecure.test no-policy-found 0",
        "  validation-failure d.insecure.test 127.0.0.4",
        "  sts-policy-invalid - -",
        "enforced.insecure.test sts 1",
        "  starttls-not-supported b.insecure.test 127.0.0.2",
        "  certificate-not-trusted c.insecure.test 127.0.0.3",
        "  validation-failure other.test -",
        "good.test tlsa 1",
        "listed.insecure.test sts 0",
        "  validation-failure b.insecure.test 127.0.0.2",
        "plain.insecure.test no-policy-found 0",
        "  starttls-not-supported b.insecure.test 127.0.0.2",
        "swapped.test tlsa 0",
        "  validation-failure mx.swapped.test 127.0.0.3",
        "tested.insecure.test sts 0",
        "  certificate-not-trusted c.insecure.test 127.0.0.3",
        "unusable.test tlsa 0",
        "  tlsa-invalid mx.unusable.test 127.0.0.1",
    ];
    assert_eq!(told, expected, "{told:#?}");
}

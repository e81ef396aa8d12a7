//! The resolution of a mail domain (`mx`), with answers that are opaque to the compiler.
//!
//! It links only if no panic is reachable.

#![no_std]
#![no_main]

use core::fmt::Write as _;

use starttls::mx::{
    Answer, Cached, Dane, Domain, Mx, Options, Requirement, Resolution, Security, Step, Tlsa, sts,
    tls_optional,
};
use starttls_thumb::{Uart, opaque, receive, send, text};

fn security() -> Security {
    if opaque(true) { Security::Secure } else { Security::Insecure }
}

fn resolve() -> Option<()> {
    let mut buffers = [[0; 512]; 4];
    let [first, second, third, fourth] = &mut buffers;
    let domain = Domain::new(text(first)).ok()?;
    let dane = match opaque(0) {
        0 => Dane::Off,
        1 => Dane::Opportunistic,
        2 => Dane::SecureHosts,
        _ => Dane::Mandatory,
    };
    let received = receive(fourth);
    let octets = fourth.get(..received).unwrap_or_default();
    let options = Options::default()
        .with_port(opaque(25))
        .with_dane(dane)
        .with_sts(opaque(true))
        .with_require_tls(opaque(false))
        .with_tls_optional(tls_optional(octets));
    let mut resolution = Resolution::<4>::new(domain, options);
    let alias = Some(text(second)).filter(|_| opaque(true));
    let text = text(third);
    let mx = [Mx { preference: opaque(10), name: text }, Mx { preference: opaque(20), name: text }];
    let tlsa = [Tlsa { usage: opaque(3), selector: opaque(1), matching: opaque(1), data: octets }];
    let records = [octets, text.as_bytes()];
    let mut answer = None;
    loop {
        answer = match resolution.step(answer).ok()? {
            Step::Ask(question) => {
                write!(Uart, "{question}").ok()?;
                Some(match opaque(0) {
                    0 => Answer::Failed,
                    1 => Answer::NoDomain,
                    2 => Answer::Mx { security: security(), alias, records: &mx, ttl: opaque(1) },
                    3 => {
                        let id = sts::Id::new(text)?;
                        let entry = Some(Cached::new(id, opaque(1), octets));
                        Answer::Cached { now: opaque(2), entry }
                    }
                    4 => Answer::Txt { records: &records },
                    5 => Answer::Policy { text: octets },
                    6 => Answer::Address {
                        first: security(),
                        last: security(),
                        alias,
                        found: opaque(true),
                        ttl: opaque(1),
                    },
                    _ => Answer::Tlsa { security: security(), records: &tlsa, ttl: opaque(1) },
                })
            }
            Step::Keep { domain, id, policy } => {
                send(domain.as_str().as_bytes());
                send(id.as_str().as_bytes());
                send(policy.as_bytes());
                policy.patterns().for_each(|pattern| send(pattern.as_bytes()));
                None
            }
            Step::Host(host) => {
                write!(Uart, "{} {}", host.name, host.preference).ok()?;
                match host.requirement {
                    Requirement::Dane { base, names, records } => {
                        send(base.as_str().as_bytes());
                        names.iter().for_each(|name| send(name.as_str().as_bytes()));
                        records.iter().for_each(|record| send(record.data));
                    }
                    Requirement::Skip(why) => send(why.as_str().as_bytes()),
                    _ => {}
                }
                None
            }
            Step::End => return Some(()),
            Step::Undeliverable(why) => {
                send(why.as_str().as_bytes());
                return None;
            }
        };
    }
}

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    loop {
        let _ = resolve();
    }
}

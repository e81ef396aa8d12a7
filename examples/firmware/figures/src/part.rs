use std::fmt;
use std::path::Path;

/// The owner of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The way to TLS: engines, SMTP's grammar, framing.
    Machine,
    /// The mail session inside TLS.
    Session,
    /// The composition of the message.
    Composer,
    /// `starttls-embedded` and `starttls-rustls`.
    Adapter,
    /// The IP stack.
    Network,
    /// TLS, X.509 and cryptography.
    Tls,
    /// The program itself and its drivers.
    Board,
    /// Executor, log, allocator, start-up; Rust's core, panics and formatting.
    Rest,
}

impl Part {
    /// All parts, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Machine,
        Self::Session,
        Self::Composer,
        Self::Adapter,
        Self::Network,
        Self::Tls,
        Self::Board,
        Self::Rest,
    ];

    /// The parts of this project.
    pub const OURS: [Self; 4] = [Self::Machine, Self::Session, Self::Composer, Self::Adapter];

    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Machine => "the machine: plaintext to TLS",
            Self::Session => "the session: login, mail",
            Self::Composer => "the composer: header, MIME, base64",
            Self::Adapter => "the adapter",
            Self::Network => "TCP/IP",
            Self::Tls => "TLS, X.509, cryptography",
            Self::Board => "the program, its drivers",
            Self::Rest => "executor, log, start-up, Rust's core",
        }
    }
}

/// The origin of a line of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'p> {
    /// Code that counts for its caller: Rust's core, and containers like heapless.
    Caller,
    /// A crate of this name.
    Crate(&'p str),
    /// A file of this project, relative to its root.
    Project(&'p str),
}

/// Crates whose code counts for its caller.
const CONTAINERS: [&str; 7] = [
    "critical-section",
    "embassy-sync",
    "embedded-io",
    "embedded-io-async",
    "heapless",
    "managed",
    "nom",
];

const NETWORK: [&str; 5] = [
    "embassy-net",
    "embassy-net-driver",
    "embassy-net-driver-channel",
    "embedded-nal-async",
    "smoltcp",
];

/// Chips, buses and network controllers.
const DRIVERS: [&str; 9] = [
    "embassy-embedded-hal",
    "embassy-hal-internal",
    "embassy-net-wiznet",
    "embassy-rp",
    "embassy-stm32",
    "embedded-hal-bus",
    "fixed",
    "rp-pac",
    "stm32-metapac",
];

const RUNTIME: [&str; 19] = [
    "compiler_builtins",
    "cordyceps",
    "cortex-m",
    "cortex-m-rt",
    "defmt",
    "defmt-rtt",
    "defmt-semihosting",
    "embassy-executor",
    "embassy-executor-timer-queue",
    "embassy-time",
    "embassy-time-driver",
    "embassy-time-queue-utils",
    "embedded-alloc",
    "linked_list_allocator",
    "panic-probe",
    "portable-atomic",
    "semihosting",
    "static_cell",
    "vcell",
];

impl<'p> Origin<'p> {
    /// The origin of a source file, by the path in the debug information; `root` is the project's.
    pub fn of(file: &'p str, root: &Path) -> Self {
        if let Ok(inside) = Path::new(file).strip_prefix(root) {
            return Self::Project(inside.to_str().unwrap_or_default());
        }
        if let Some((_, rest)) = file.split_once("/registry/src/") {
            let package = rest.split('/').nth(1).unwrap_or_default();
            let name = package.rsplit_once('-').map_or(package, |(name, _)| name);
            // A version like 0.0.2-alpha.
            let name = match name.rsplit_once('-') {
                Some((before, version)) if version.starts_with(|c: char| c.is_ascii_digit()) => {
                    before
                }
                _ => name,
            };
            return if CONTAINERS.contains(&name) { Self::Caller } else { Self::Crate(name) };
        }
        if file.contains("compiler-builtins") || file.contains("compiler_builtins") {
            return Self::Crate("compiler_builtins");
        }
        Self::Caller
    }

    /// The owner; `None` if its caller's.
    pub fn part(self) -> Option<Part> {
        let part = match self {
            Self::Caller => return None,
            Self::Crate(name) if NETWORK.contains(&name) => Part::Network,
            Self::Crate(name) if DRIVERS.contains(&name) => Part::Board,
            Self::Crate(name) if RUNTIME.contains(&name) => Part::Rest,
            Self::Crate(_) => Part::Tls,
            Self::Project(file) => match file.strip_prefix("core/src/") {
                Some(file) if file.starts_with("mail/message/") => Part::Composer,
                Some(file) if file.starts_with("mail/") => Part::Session,
                Some(_) => Part::Machine,
                None if file.starts_with("adapters/") => Part::Adapter,
                None => Part::Board,
            },
        };
        Some(part)
    }
}

/// The crate, or the file.
impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller => Ok(()),
            Self::Crate(name) => f.write_str(name),
            Self::Project(file) => f.write_str(file),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_determines_the_owner() {
        let registry = "/home/me/.cargo/registry/src/index-0123456789abcdef";
        for (file, part) in [
            ("/p/core/src/mail/session/mod.rs", Some(Part::Session)),
            ("/p/core/src/mail/message/words.rs", Some(Part::Composer)),
            ("/p/core/src/smtp/client.rs", Some(Part::Machine)),
            ("/p/adapters/embedded/src/lib.rs", Some(Part::Adapter)),
            ("/p/examples/firmware/sensor/src/lib.rs", Some(Part::Board)),
            ("/rustc/59807/library/core/src/fmt/mod.rs", None),
            (
                "/rustc/59807/library/compiler-builtins/compiler-builtins/src/mem/mod.rs",
                Some(Part::Rest),
            ),
            (&format!("{registry}/smoltcp-0.13.1/src/iface/mod.rs"), Some(Part::Network)),
            (&format!("{registry}/rustls-rustcrypto-0.0.2-alpha/src/kx.rs"), Some(Part::Tls)),
            (&format!("{registry}/embassy-stm32-0.6.0/src/eth/mod.rs"), Some(Part::Board)),
            (&format!("{registry}/heapless-0.9.3/src/vec.rs"), None),
            (&format!("{registry}/embassy-time-0.5.1/src/timer.rs"), Some(Part::Rest)),
        ] {
            assert_eq!(Origin::of(file, Path::new("/p")).part(), part, "{file}");
        }
    }
}

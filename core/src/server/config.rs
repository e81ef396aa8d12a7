use crate::Policy;
use crate::settings::settings;

settings! {
    /// The settings of a [`Server`](crate::Server). The default requires TLS and has it available.
    ///
    /// ```
    /// use starttls::{Policy, server::Config};
    ///
    /// let config = Config::default().with_policy(Policy::Opportunistic).with_max_errors(3);
    /// assert!(config.available());
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Config {
        /// Whether clients may do anything without TLS. A public mail exchanger must not require TLS
        /// (RFC 3207 §4); a submission server should.
        policy, with_policy: Policy,
        /// Whether TLS is available. If not, the server does not offer it and answers a request with a
        /// temporary refusal.
        available, with_available: bool,
        /// How many mistakes a client may make. One more closes the connection.
        max_errors, with_max_errors: u8,
        /// How many commands a client may send before TLS, or before it continues without it; empty lines
        /// count. One more closes the connection.
        max_commands, with_max_commands: u16,
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { policy: Policy::Required, available: true, max_errors: 10, max_commands: 100 }
    }
}

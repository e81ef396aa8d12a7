//! A mail server and a mail client as they should be, and with one fault for each switch.
//!
//! They share nothing with the tests that have to find the faults, so that a misunderstanding shows on one side only.

pub mod channel;
pub mod client;
pub mod server;
mod verifier;

/// Defines the switches of one side, with their names on the command line.
macro_rules! faults {
    ($(#[$doc:meta])* $Name:ident { $($(#[$of:meta])* $Fault:ident $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $Name { $($(#[$of])* $Fault,)* }

        impl $Name {
            /// All switches.
            pub const ALL: &'static [Self] = &[$(Self::$Fault),*];

            /// The switch's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$Fault => $name),* }
            }
        }
    };
}

pub(crate) use faults;

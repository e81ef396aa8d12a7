//! `Debug` output of types that hold secrets, or text from a peer or a user.

/// Implements `Debug` and `defmt::Format` so that they show only the type's name, and the number of bytes
/// it holds if that is given.
macro_rules! conceal {
    ($name:literal, $type:ty $([$($parameters:tt)*])?) => {
        impl$(<$($parameters)*>)? core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!($name, "(..)"))
            }
        }

        #[cfg(feature = "defmt")]
        impl$(<$($parameters)*>)? defmt::Format for $type {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=str}", concat!($name, "(..)"));
            }
        }
    };
    ($name:literal, $type:ty $([$($parameters:tt)*])?, $bytes:expr) => {
        impl$(<$($parameters)*>)? core::fmt::Debug for $type {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let bytes: fn(&Self) -> usize = $bytes;
                write!(f, concat!($name, "({} bytes)"), bytes(self))
            }
        }

        #[cfg(feature = "defmt")]
        impl$(<$($parameters)*>)? defmt::Format for $type {
            fn format(&self, f: defmt::Formatter<'_>) {
                let bytes: fn(&Self) -> usize = $bytes;
                defmt::write!(f, "{=str}({=usize} bytes)", $name, bytes(self));
            }
        }
    };
}

pub(crate) use conceal;

/// `Debug` and `defmt::Format` that show only the type's name, for types with secret or unprintable fields.
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
}

pub(crate) use conceal;

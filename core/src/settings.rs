//! One way to configure.

/// A struct of settings. For each field there are a function of its name, which reads it, and a `with_…`,
/// which makes the same settings with another value, so that a later version can add fields and keep
/// them in another way.
macro_rules! settings {
    (
        $(#[$about:meta])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $($(#[$doc:meta])* $field:ident, $with:ident: $type:ty,)+
        }
    ) => {
        $(#[$about])*
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub struct $name $(<$life>)? {
            $(pub(crate) $field: $type,)+
        }

        impl $(<$life>)? $name $(<$life>)? {
            $(
                $(#[$doc])*
                #[must_use]
                pub const fn $field(&self) -> $type {
                    self.$field
                }

                #[doc = concat!("The same with another [`", stringify!($field), "`](Self::", stringify!($field), "()).")]
                #[must_use]
                pub const fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )+
        }
    };
}

pub(crate) use settings;

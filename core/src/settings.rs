//! The common form of all settings.

/// Defines a struct of settings. Each field has a getter of its name and a `with_…` function that returns
/// the settings with another value. The fields are private, so that a later version can add some or store
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

                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), "()).")]
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

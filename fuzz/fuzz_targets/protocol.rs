//! A protocol in one role, by its engine. `PROTOCOL` names it, for example `smtp_client`.

#![no_main]

use std::env;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use starttls_fuzz::Case;
use starttls_fuzz::engine::TARGETS;

static PLAY: LazyLock<fn(&Case<'_>)> = LazyLock::new(|| {
    let name = env::var("PROTOCOL").expect("PROTOCOL=smtp_client or another one");
    let target = TARGETS.iter().find(|target| target.name() == name);
    target.unwrap_or_else(|| panic!("no protocol and role {name}")).play
});

fuzz_target!(|case: Case<'_>| PLAY(&case));

//! Prints each protocol in each role, with its dictionary.

fn main() {
    for target in starttls_fuzz::engine::TARGETS {
        println!("{} {}", target.name(), target.dictionary);
    }
}

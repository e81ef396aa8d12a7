//! Prints the protocols in their roles, and the dictionary of each.

fn main() {
    for target in starttls_fuzz::engine::TARGETS {
        println!("{} {}", target.name(), target.dictionary);
    }
}

//! State diagrams, drawn from what the engines do.

extern crate std;

use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

/// The page of the diagrams.
pub(crate) const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manual/states.md");

/// The two names of each condition: if it is false, if it is true.
pub(crate) type Names<const N: usize> = [[&'static str; 2]; N];

/// All combinations of the conditions' values.
pub(crate) fn truths<const N: usize>() -> impl Iterator<Item = [bool; N]> {
    (0..1 << N).map(|n: usize| std::array::from_fn(|bit| n >> bit & 1 != 0))
}

/// The shortest guards that describe exactly the combinations in `holds`. An empty guard means always.
pub(crate) fn guards<const N: usize>(names: Names<N>, holds: &BTreeSet<[bool; N]>) -> Vec<String> {
    // In a guard, each condition is false, true or absent.
    let options = [None, Some(false), Some(true)];
    let digit = |n: usize, place: usize| options[n / 3_usize.pow(place as u32) % 3];
    let mut cubes: Vec<[Option<bool>; N]> = (0..3_usize.pow(N as u32))
        .map(|n| std::array::from_fn(|place| digit(n, N - 1 - place)))
        .collect();
    cubes.sort_by_key(|cube| cube.iter().flatten().count());
    let within = |cube: &[Option<bool>; N], truth: &[bool; N]| {
        cube.iter().zip(truth).all(|(fixed, is)| fixed.is_none_or(|fixed| fixed == *is))
    };
    let mut covered = BTreeSet::new();
    let mut guards = Vec::new();
    for cube in cubes {
        let inside: BTreeSet<_> = truths().filter(|truth| within(&cube, truth)).collect();
        if inside.is_subset(holds) && !inside.is_subset(&covered) {
            covered.extend(inside);
            let words = cube.iter().zip(names);
            let words: Vec<_> =
                words.filter_map(|(fixed, names)| fixed.map(|is| names[usize::from(is)])).collect();
            guards.push(words.join(", "));
        }
    }
    guards
}

/// An arrow's cause, guard and effect. Guard and effect may be empty.
type Label = (String, String, String);

/// A diagram under construction.
#[derive(Default)]
pub(crate) struct Diagram {
    states: Vec<String>,
    edges: Vec<(String, String, Vec<Label>)>,
    failures: Vec<(String, Vec<String>)>,
}

impl Diagram {
    /// Adds a state.
    pub(crate) fn state(&mut self, name: &str) {
        if !self.states.iter().any(|known| known == name) {
            self.states.push(name.to_string());
        }
    }

    /// Adds an arrow, or another label to an existing arrow.
    pub(crate) fn edge(&mut self, from: &str, to: &str, cause: &str, guard: &str, effect: &str) {
        let label = (cause.to_string(), guard.to_string(), effect.to_string());
        match self.edges.iter_mut().find(|edge| edge.0 == from && edge.1 == to) {
            Some((.., labels)) if labels.contains(&label) => {}
            Some((.., labels)) => labels.push(label),
            None => self.edges.push((from.to_string(), to.to_string(), Vec::from([label]))),
        }
    }

    /// Adds a cause that fails many states, which a note lists.
    pub(crate) fn fails(&mut self, cause: &str, from: &str) {
        match self.failures.iter_mut().find(|failure| failure.0 == cause) {
            Some((_, states)) if states.iter().any(|known| known == from) => {}
            Some((_, states)) => states.push(from.to_string()),
            None => self.failures.push((cause.to_string(), Vec::from([from.to_string()]))),
        }
    }

    /// The diagram as Mermaid text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("```mermaid\nstateDiagram-v2\n");
        for (from, to, labels) in &self.edges {
            let labels = lines(labels).join("<br>");
            let colon = if labels.is_empty() { "" } else { ": " };
            text += &format!("    {from} --> {to}{colon}{labels}\n");
        }
        text += "    note right of Failed\n";
        for (cause, from) in &self.failures {
            text += &format!("        {cause}: from {}\n", self.place(from));
        }
        text + "    end note\n```\n"
    }

    /// A short description of `some` of the states.
    fn place(&self, some: &[String]) -> String {
        let others: Vec<_> = self.states.iter().filter(|state| !some.contains(state)).collect();
        let of_one_kind = |kind: &&str| {
            some.iter().all(|state| state.starts_with(kind))
                && !others.iter().any(|state| state.starts_with(kind))
        };
        match others.as_slice() {
            [] => "every state".into(),
            [a] => format!("every state but {a}"),
            [a, b] => format!("every state but {a} and {b}"),
            _ => match ["Await", "Ask"].iter().find(|kind| of_one_kind(kind)) {
                Some(kind) if some.len() > 1 => format!("every {kind}… state"),
                _ => some.join(", "),
            },
        }
    }
}

/// The labels as lines. Causes with the same guard and effect share a line.
fn lines(labels: &[Label]) -> Vec<String> {
    let mut groups: Vec<(Vec<&str>, &str, &str)> = Vec::new();
    for (cause, guard, effect) in labels {
        match groups.iter_mut().find(|group| (group.1, group.2) == (guard, effect)) {
            Some((causes, ..)) => causes.push(cause),
            None => groups.push((Vec::from([cause.as_str()]), guard, effect)),
        }
    }
    let line = |(causes, guard, effect): (Vec<&str>, &str, &str)| {
        let mut line = causes.join(", ");
        if !guard.is_empty() {
            line += &format!(" [{guard}]");
        }
        if !effect.is_empty() {
            line += &format!(" / {effect}");
        }
        line
    };
    groups.into_iter().map(line).collect()
}

#[test]
fn guards_are_brief_and_exact() {
    let names = [["not a", "a"], ["not b", "b"], ["not c", "c"]];
    let of = |holds: fn([bool; 3]) -> bool| {
        guards(names, &truths().filter(|truth| holds(*truth)).collect()).join(" | ")
    };
    assert_eq!(of(|_| true), "");
    assert_eq!(of(|[a, ..]| !a), "not a");
    assert_eq!(of(|[a, b, _]| a && !b), "a, not b");
    assert_eq!(of(|[a, b, c]| a || b && c), "a | b, c");
    assert!(guards(names, &BTreeSet::new()).is_empty());
}

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use addr2line::{Loader, Location};
use anyhow::{Context as _, Result, anyhow, ensure};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, SectionKind, SymbolKind,
};

use crate::part::{Origin, Part};

/// The memory use of an image, in bytes.
#[derive(Debug, Default)]
pub struct Image {
    /// Flash, by part.
    pub flash: BTreeMap<Part, u64>,
    /// Flash by part and crate, or file of the project.
    pub crates: BTreeMap<(Part, String), u64>,
    /// Statically allocated RAM, including the heap.
    pub ram: u64,
    /// The heap's share of it.
    pub heap: u64,
}

/// A range of addresses with its content.
struct Section {
    start: u64,
    octets: Vec<u8>,
}

impl Section {
    fn contains(&self, address: u64) -> bool {
        (self.start..self.start + self.octets.len() as u64).contains(&address)
    }

    /// The aligned words, with their addresses.
    fn words(&self) -> impl Iterator<Item = (u64, u64)> {
        let words = self.octets.chunks_exact(4);
        words.enumerate().map(|(n, word)| {
            let word = u32::from_le_bytes(word.try_into().unwrap_or_default());
            (self.start + 4 * n as u64, u64::from(word))
        })
    }

    /// The literals that `LDR` loads (A7.7.44) in a range of instructions, with the addresses of the instructions.
    fn loaded(&self, range: Range<u64>) -> Vec<(u64, u64)> {
        let half = |at: u64| {
            let at = usize::try_from(at.checked_sub(self.start)?).ok()?;
            let octets = self.octets.get(at..at + 2)?;
            Some(u64::from(u16::from_le_bytes(octets.try_into().ok()?)))
        };
        let mut loaded = Vec::new();
        let mut at = range.start;
        while at < range.end
            && let (Some(first), second) = (half(at), half(at + 2).unwrap_or_default())
        {
            let base = (at + 4) & !3;
            match (first & 0xf800, first & 0xff7f) {
                (0x4800, _) => loaded.push((at, base + 4 * (first & 0xff))),
                (_, 0xf85f) if first & 0x80 != 0 => loaded.push((at, base + (second & 0xfff))),
                (_, 0xf85f) => loaded.push((at, base - (second & 0xfff))),
                _ => {}
            }
            // The first five bits of a halfword tell whether a second one follows.
            at += if first >> 11 > 0b11100 { 4 } else { 2 };
        }
        loaded
    }

    /// The addresses that `MOVW` and `MOVT` form together (ARM DDI 0403E, A7.7.76 and A7.7.79),
    /// with the address of the second.
    fn moved(&self) -> Vec<(u64, u64)> {
        let mut low = [0; 16];
        let mut made = Vec::new();
        for (n, pair) in self.octets.windows(4).enumerate().step_by(2) {
            let first = u32::from(u16::from_le_bytes([pair[0], pair[1]]));
            let second = u32::from(u16::from_le_bytes([pair[2], pair[3]]));
            let register = (second >> 8 & 0xf) as usize;
            let value = (first & 0xf) << 12
                | (first >> 10 & 1) << 11
                | (second >> 4 & 0x700)
                | second & 0xff;
            match (first & 0xfbf0, second >> 15) {
                (0xf240, 0) => low[register] = value,
                (0xf2c0, 0) => {
                    made.push((self.start + n as u64, u64::from(value << 16 | low[register])))
                }
                _ => {}
            }
        }
        made
    }
}

impl Image {
    /// Reads an ELF file with debug information, built from the project at `root`.
    ///
    /// Code counts for the crate that contains its source, inlined code too. Inlined code of Rust's
    /// core and of containers counts for its caller. A constant counts for the first code or constant
    /// that points to it.
    pub fn read(path: &Path, root: &Path) -> Result<Self> {
        let data = fs::read(path).with_context(|| path.display().to_string())?;
        let file = object::File::parse(&*data)?;
        let loader = Loader::new(path).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        let mut image = Self::default();
        let (mut code, mut constants) = (Vec::new(), Vec::new());
        for section in file.sections().filter(|section| section.size() > 0) {
            let (start, size) = (section.address(), section.size());
            match section.kind() {
                SectionKind::UninitializedData => image.ram += size,
                SectionKind::Data => {
                    image.ram += size;
                    image.add(Part::Rest, "initial values", size);
                }
                SectionKind::Text => code.push(Section { start, octets: section.data()?.to_vec() }),
                _ if section.name()? == ".rodata" => {
                    constants.push(Section { start, octets: section.data()?.to_vec() });
                }
                SectionKind::ReadOnlyData => image.add(Part::Rest, "tables of addresses", size),
                _ => {}
            }
        }
        let heap =
            file.symbols().find(|symbol| symbol.name().is_ok_and(|name| name == "HEAP_SPACE"));
        image.heap = heap.map_or(0, |symbol| symbol.size());

        let mut functions: Vec<_> = file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
            .map(|symbol| (symbol.address() & !1)..(symbol.address() & !1) + symbol.size())
            .collect();
        functions.sort_by_key(|function| (function.start, function.end));
        let mut owners = BTreeMap::new();
        for section in &code {
            let mut address = section.start;
            let end = section.start + section.octets.len() as u64;
            for function in functions.iter().filter(|function| section.contains(function.start)) {
                // Bytes between two functions have no owner; one function may have two names.
                image.add(Part::Rest, "gaps", function.start.saturating_sub(address));
                let code = address.max(function.start)..function.end;
                let mut owner = None;
                for at in code.clone().step_by(2) {
                    // Code without a line, whose source the compiler does not know, counts for the
                    // owner of the code before it.
                    owner = owner_of(&loader, at, root)?.or(owner);
                    let owner = owner.clone().unwrap_or((Part::Rest, "Rust's core".into()));
                    owners.insert(at, owner);
                }
                // A literal counts for the code that loads it.
                for (at, literal) in section.loaded(code.clone()) {
                    for half in [literal, literal + 2].into_iter().filter(|at| code.contains(at)) {
                        owners.extend(owners.get(&at).cloned().map(|owner| (half, owner)));
                    }
                }
                address = address.max(function.end);
            }
            image.add(Part::Rest, "gaps", end.saturating_sub(address));
        }
        for (part, name) in owners.values() {
            image.add(*part, name, 2);
        }
        image.constants(&code, &constants, &owners);
        let (counted, flash) = (image.flash.values().sum::<u64>(), in_flash(&file));
        ensure!(counted == flash, "{counted} bytes of {flash} have an owner");
        Ok(image)
    }

    fn add(&mut self, part: Part, name: &str, octets: u64) {
        *self.flash.entry(part).or_default() += octets;
        *self.crates.entry((part, name.to_owned())).or_default() += octets;
    }

    /// A constant extends from one target of a pointer to the next one.
    fn constants(
        &mut self,
        code: &[Section],
        constants: &[Section],
        owners: &BTreeMap<u64, (Part, String)>,
    ) {
        let is_constant = |address: u64| constants.iter().any(|section| section.contains(address));
        let pointers = code.iter().flat_map(|section| section.words().chain(section.moved()));
        let mut owned: BTreeMap<u64, Option<(Part, String)>> = BTreeMap::new();
        for (at, to) in pointers.filter(|(_, to)| is_constant(*to)) {
            let owner = owners.get(&(at & !1)).cloned();
            owned.entry(to).or_insert(owner);
        }
        let inner: Vec<_> =
            constants.iter().flat_map(Section::words).filter(|(_, to)| is_constant(*to)).collect();
        for (_, to) in &inner {
            owned.entry(*to).or_insert(None);
        }
        // The owner of a table owns the targets of its pointers; a table may point to tables.
        for _ in 0..4 {
            for (at, to) in &inner {
                let owner = owned.range(..=at).next_back().and_then(|(_, owner)| owner.clone());
                if let (Some(entry @ None), Some(owner)) = (owned.get_mut(to), owner) {
                    *entry = Some(owner);
                }
            }
        }
        for section in constants {
            let end = section.start + section.octets.len() as u64;
            let mut starts: Vec<u64> = owned.range(section.start..end).map(|(at, _)| *at).collect();
            self.add(Part::Rest, "constants", starts.first().unwrap_or(&end) - section.start);
            starts.push(end);
            for pair in starts.windows(2) {
                let owner = owned.get(&pair[0]).cloned().flatten();
                let (part, name) = owner.unwrap_or((Part::Rest, "constants".into()));
                self.add(part, &name, pair[1] - pair[0]);
            }
        }
    }
}

/// The content of flash: every section with bytes and an address.
fn in_flash(file: &object::File<'_>) -> u64 {
    let sections = file.sections().filter(|section| match section.flags() {
        SectionFlags::Elf { sh_flags, .. } => sh_flags.contains(object::elf::SHF_ALLOC),
        _ => false,
    });
    sections
        .filter(|section| section.kind() != SectionKind::UninitializedData)
        .map(|section| section.size())
        .sum()
}

/// The owner of an instruction: that of the innermost function, inlined ones included, that has one.
fn owner_of(loader: &Loader, address: u64, root: &Path) -> Result<Option<(Part, String)>> {
    let failed = |error| anyhow!("{address:#x}: {error}");
    let mut frames = loader.find_frames(address).map_err(failed)?;
    while let Some(frame) = frames.next()? {
        let Some(Location { file: Some(file), line: Some(1..), .. }) = frame.location else {
            return Ok(None);
        };
        let origin = Origin::of(file, root);
        if let Some(part) = origin.part() {
            return Ok(Some((part, origin.to_string())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_made_of_two_halves() {
        // MOVW R0, #0x1234; MOVW R9, #0xFFFF; MOVT R0, #0x2000; MOVT R9, #0xABCD.
        let octets = [
            [0x41, 0xf2, 0x34, 0x20],
            [0x4f, 0xf6, 0xff, 0x79],
            [0xc2, 0xf2, 0x00, 0x00],
            [0xca, 0xf6, 0xcd, 0x39],
        ];
        let section = Section { start: 0x100, octets: octets.concat() };
        assert_eq!(section.moved(), [(0x108, 0x2000_1234), (0x10c, 0xabcd_ffff)]);
    }

    #[test]
    fn a_literal_is_found() {
        // LDR R0, [PC, #8]; NOP; LDR.W R8, [PC, #4]; a word that looks like the first.
        let octets = [0x02, 0x48, 0x00, 0xbf, 0xdf, 0xf8, 0x04, 0x80, 0x00, 0xbf, 0x00, 0xbf];
        let section = Section { start: 0x100, octets: octets.to_vec() };
        assert_eq!(section.loaded(0x100..0x10c), [(0x100, 0x10c), (0x104, 0x10c)]);
        assert_eq!(section.loaded(0x102..0x104), []);
    }
}

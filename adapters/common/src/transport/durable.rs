use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file under its final name only when it is complete and on disk, so that no other process sees
/// half of it, and none of it is lost when the machine loses power.
///
/// `incoming` is its name until then, on the same file system; a file of that name is an error. A file named
/// `place` is replaced.
///
/// # Errors
/// Those of the operating system. Then `place` is as it was, unless only syncing its directory failed, and
/// `incoming` is gone if the system permits it.
pub fn write_durably(incoming: &Path, place: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let written = File::create_new(incoming).and_then(|mut file| {
        let whole = parts.iter().try_for_each(|part| file.write_all(part));
        let moved = whole.and_then(|()| file.sync_all()).and_then(|()| fs::rename(incoming, place));
        // The first error counts; the file is useless.
        moved.inspect_err(|_| drop(fs::remove_file(incoming)))
    });
    written.and_then(|()| sync_names(place))
}

/// Syncs the directory that contains this name, after the name was made or removed.
///
/// # Errors
/// Those of the operating system.
pub fn sync_names(of: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened as a file.
    if cfg!(unix) {
        let directory = of.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

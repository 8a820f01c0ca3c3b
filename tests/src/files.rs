//! What lies in a folder.

use std::path::{Path, PathBuf};

/// Every file below `folder`, in no order; what is gone meanwhile is left out.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// The one whose name begins and ends like this; panics where there is none.
pub fn file_below(folder: &Path, start: &str, end: &str) -> PathBuf {
    let mut files = files_below(folder).into_iter();
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(start) && name.ends_with(end)
    };
    files.find(is_it).unwrap_or_else(|| panic!("no {start}*{end} below {}", folder.display()))
}

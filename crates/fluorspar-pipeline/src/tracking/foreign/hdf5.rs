//! MATLAB's files of version 7.3, which are HDF5.

use hdf5_pure::File;

use super::{Counted, Identities, MOST_ENTRIES, assemble};

/// What deflate can make of a byte at most, and a little: a map larger than
/// this many times its file was not stored in it.
const MOST_EXPANSION: u64 = 1100;

/// CellReg's `cell_to_index_map` (cell, session): ROIs counted from 1, 0 where
/// none. HDF5 has it the other way round, as all arrays of MATLAB.
pub(super) fn cellreg(bytes: Vec<u8>) -> Result<Identities, String> {
    if bytes.starts_with(b"MATLAB 5.0") {
        return Err("is a MATLAB file of version 5; save it with -v7.3".into());
    }
    let said = |error: hdf5_pure::Error| format!("is not a MATLAB file of version 7.3: {error}");
    let most = (bytes.len() as u64).saturating_mul(MOST_EXPANSION);
    let file = File::from_bytes(bytes).map_err(said)?;
    let names = [
        "cell_registered_struct/cell_to_index_map",
        "cell_to_index_map",
    ];
    let found = names.iter().find_map(|name| file.dataset(name).ok());
    let map = found.ok_or("holds no cell_registered_struct.cell_to_index_map of CellReg")?;
    let shape = map.shape().map_err(said)?;
    let &[sessions, cells] = shape.as_slice() else {
        return Err(format!("cell_to_index_map has {} axes, not 2", shape.len()));
    };
    // What is asked for is what is allocated: checked before it is.
    let count = sessions
        .checked_mul(cells)
        .filter(|&n| n <= MOST_ENTRIES as u64);
    let count =
        count.ok_or_else(|| format!("{cells} cells in {sessions} sessions are too many"))?;
    let size = map.element_size().map_err(said)?;
    if size > 8 {
        return Err("cell_to_index_map does not hold numbers".into());
    }
    if count.saturating_mul(size) > most {
        return Err(format!(
            "{cells} cells in {sessions} sessions are not in a file this small"
        ));
    }
    let values = map.read_f64().map_err(said)?;
    if values.len() as u64 != count {
        return Err(format!(
            "cell_to_index_map breaks off after {} numbers",
            values.len()
        ));
    }
    let mut entries = Vec::new();
    for (at, &value) in values.iter().enumerate() {
        if !(value >= 0.0 && value.fract() == 0.0 && value <= f64::from(i32::MAX)) {
            return Err(format!(
                "cell_to_index_map holds {value}, not a ROI counted from 1"
            ));
        }
        let (session, cell) = (at / cells as usize, at % cells as usize);
        entries.push((cell as i64, session, value as i32 - 1));
    }
    assemble(entries, sessions as usize, Counted::All)
}

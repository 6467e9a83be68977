//! How much memory there is, how much a run may take, and how much it has.

mod system;

use std::path::Path;

use crate::Error;

pub(crate) use system::reset_peak_memory;
pub use system::{peak_memory, resident_memory};

/// The least that a run is given, in bytes.
pub const LEAST_MEMORY: u64 = 64_000_000;

/// What a run is given where the system does not say what there is.
const UNTOLD: u64 = 4 << 30;

/// Memory that this process could have, in bytes, as far as the system says.
///
/// On Linux the machine's memory is `MemTotal` of `/proc/meminfo`; limits are
/// `memory.max` (version 2) or `memory.limit_in_bytes` (version 1) of the
/// process's control group and of all groups that hold it, which is how
/// containers and cluster schedulers confine a job. Swap counts nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AvailableMemory {
    /// Memory of the machine.
    pub machine: Option<u64>,
    /// The tightest limit of a control group, if it is below the machine's memory.
    pub group: Option<u64>,
}

impl AvailableMemory {
    /// Asks the system; nothing is known where it is not Linux.
    pub fn of_system() -> Self {
        Self::below(Path::new("/"))
    }

    /// The lower of both.
    pub fn bytes(&self) -> Option<u64> {
        self.group.or(self.machine)
    }

    /// In words, for messages.
    fn in_words(&self) -> String {
        match (self.group, self.machine) {
            (Some(limit), _) => format!(
                "this process may have {} (limit of its control group)",
                gibibytes(limit)
            ),
            (None, Some(all)) => format!("this machine has {}", gibibytes(all)),
            (None, None) => "this system does not say how much there is".into(),
        }
    }

    /// What to write, for messages: every size named here is accepted.
    fn advice(&self) -> String {
        let least = format!("{}MB", LEAST_MEMORY / 1_000_000);
        match self.bytes().filter(|&bytes| bytes > LEAST_MEMORY) {
            Some(bytes) => format!(
                "write {least} to {}, such as --memory {}",
                size_text(bytes),
                size_text(share(bytes))
            ),
            None => format!(
                "write {least} or more, such as --memory {}",
                size_text(UNTOLD)
            ),
        }
    }
}

/// What a run may hold, in bytes, with what the user should know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    /// Bytes.
    pub bytes: usize,
    /// Why it is a guess, if it is one.
    pub warning: Option<String>,
}

/// Decides what a run may hold: what was `asked` for, such as `"4GiB"` or
/// `"800MB"`, or three quarters of what there is.
///
/// ```
/// use fluorspar_pipeline::{AvailableMemory, memory_budget};
/// let available = AvailableMemory { machine: Some(16 << 30), group: None };
/// assert_eq!(memory_budget(None, &available)?.bytes, 12 << 30);
/// assert_eq!(memory_budget(Some("1.5GB"), &available)?.bytes, 1_500_000_000);
/// assert!(memory_budget(Some("64GiB"), &available).is_err());
/// # Ok::<(), fluorspar_pipeline::Error>(())
/// ```
///
/// # Errors
/// [`Error::Usage`] for what is no size, for less than [`LEAST_MEMORY`] and
/// for more than there is; it says what there is and what to write.
pub fn memory_budget(
    asked: Option<&str>,
    available: &AvailableMemory,
) -> Result<MemoryBudget, Error> {
    let Some(text) = asked else {
        let warning = available.bytes().is_none().then(|| {
            format!(
                "this system does not say how much memory there is; taking {} (--memory changes that)",
                size_text(UNTOLD)
            )
        });
        let bytes = available.bytes().map_or(UNTOLD, share).max(LEAST_MEMORY);
        return Ok(MemoryBudget {
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            warning,
        });
    };
    let refuse = |problem: &str| {
        Err(Error::Usage(format!(
            "--memory {text}: {problem}; {}; {}",
            available.in_words(),
            available.advice()
        )))
    };
    match parse_size(text) {
        Err(problem) => refuse(&problem),
        Ok(bytes) if bytes < LEAST_MEMORY as f64 => refuse("is too little"),
        Ok(bytes) if available.bytes().is_some_and(|all| bytes > all as f64) => {
            refuse("is more than there is")
        }
        // The largest usize is no f64, so the conversion is exact below it.
        Ok(bytes) if bytes >= usize::MAX as f64 => refuse("is more than can be addressed"),
        Ok(bytes) => Ok(MemoryBudget {
            bytes: bytes as usize,
            warning: None,
        }),
    }
}

/// Three quarters: the rest is for the system, its file cache and other programs.
fn share(bytes: u64) -> u64 {
    bytes / 4 * 3
}

/// Bytes from `4GiB`, `800MB`, `65536`.
fn parse_size(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| "is not a size")?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "kib" => 1024.0,
        "m" | "mb" => 1e6,
        "mib" => 1024.0 * 1024.0,
        "g" | "gb" => 1e9,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" => 1e12,
        "tib" => 1024.0_f64.powi(4),
        other => return Err(format!("{other:?} is no unit of a size")),
    };
    Ok((number * unit).floor())
}

/// A size that [`parse_size`] reads back as no more than `bytes`.
fn size_text(bytes: u64) -> String {
    if bytes >= 8 << 30 {
        format!("{}GiB", bytes >> 30)
    } else {
        format!("{}MiB", bytes >> 20)
    }
}

/// A size that [`parse_size`] reads back as no less than `bytes`.
pub(crate) fn size_above(bytes: u64) -> String {
    if bytes > 8 << 30 {
        format!("{}GiB", bytes.div_ceil(1 << 30))
    } else {
        format!("{}MiB", bytes.div_ceil(1 << 20))
    }
}

/// A size for people to read.
pub(crate) fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;

    fn there_is(machine: u64) -> AvailableMemory {
        AvailableMemory {
            machine: Some(machine),
            group: None,
        }
    }

    #[test]
    fn wrong_sizes_are_refused_with_what_there_is_and_what_to_write() {
        let available = there_is(16 * GIB);
        for (asked, says) in [
            ("0", "too little"),
            ("1k", "too little"),
            ("63.9MB", "too little"),
            ("17GiB", "more than there is"),
            ("99999999999999999999999999999999TiB", "more than there is"),
            ("", "not a size"),
            ("-4GiB", "not a size"),
            ("nan", "not a size"),
            ("inf", "not a size"),
            ("1.2.3GB", "not a size"),
            ("4 bananas", "\"bananas\""),
            ("4e9", "\"e9\""),
        ] {
            let error = memory_budget(Some(asked), &available).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            let message = error.to_string();
            assert!(message.contains(says), "{message}");
            assert!(message.contains("16.00 GiB"), "{message}");
            assert!(
                message.contains("write 64MB to 16GiB, such as --memory 12GiB"),
                "{message}"
            );
        }
    }

    #[test]
    fn an_unknown_system_gets_a_guess_and_a_warning() {
        let unknown = AvailableMemory::default();
        let guess = memory_budget(None, &unknown).unwrap();
        assert_eq!(guess.bytes, 4 << 30);
        assert!(guess.warning.unwrap().contains("--memory"));
        assert_eq!(
            memory_budget(Some("64GiB"), &unknown).unwrap().bytes,
            64 << 30
        );
        assert!(memory_budget(Some("99999999TiB"), &unknown).is_err());
    }

    proptest! {
        #[test]
        fn what_a_refusal_advises_is_accepted(machine in (65_u64 << 20)..(1 << 45)) {
            let available = there_is(machine);
            let message = memory_budget(Some("0"), &available).unwrap_err().to_string();
            let advice = message.split("; ").last().unwrap();
            let sizes: Vec<&str> = advice
                .split([' ', ','])
                 .filter(|word| word.ends_with('B'))
                .collect();
            prop_assert_eq!(sizes.len(), 3);
            for size in sizes {
                // Three quarters of very little is less than the least.
                if machine > 128 << 20 {
                    prop_assert!(memory_budget(Some(size), &available).is_ok(), "{}", size);
                }
            }
            let usual = memory_budget(None, &available).unwrap();
            prop_assert!(usual.bytes as u64 >= LEAST_MEMORY && usual.bytes as u64 <= machine);
            prop_assert_eq!(usual.warning, None);
        }
    }
}

//! How much memory there is, how much a run may take, and how much it has.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::Error;

/// The least that a run is given, in bytes.
pub const LEAST_MEMORY: u64 = 64 << 20;

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

    /// As [`of_system`](Self::of_system) of a file system that starts at `root`.
    fn below(root: &Path) -> Self {
        let read = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_default();
        let machine = kibibytes(&read("proc/meminfo"), "MemTotal:");
        let groups = read("proc/self/cgroup");
        let group = mounts(&read("proc/self/mountinfo"))
            .iter()
            .filter_map(|mount| mount.limit(&groups, root))
            .min();
        Self {
            machine,
            // Version 1 says "no limit" with a number beyond any machine.
            group: group.filter(|&limit| machine.is_none_or(|all| limit < all)),
        }
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
        let least = size_text(LEAST_MEMORY);
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

fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

/// Where a hierarchy of control groups that limits memory can be read.
#[derive(Debug)]
struct Mount {
    /// The group that is seen at `point`.
    group: PathBuf,
    point: PathBuf,
    /// Version of the interface, 1 or 2.
    version: u8,
}

/// The hierarchies named in `/proc/self/mountinfo`.
fn mounts(table: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (group, point) = (place.next()?, place.next()?);
        let mut kind = kind.split(' ');
        let version = match kind.next()? {
            "cgroup2" => 2,
            "cgroup" if kind.last()?.split(',').any(|option| option == "memory") => 1,
            _ => return None,
        };
        Some(Mount {
            group: unescape(group).into(),
            point: unescape(point).into(),
            version,
        })
    };
    table.lines().filter_map(mount).collect()
}

/// Takes back `\040`, which the kernel writes for a space, and the like.
fn unescape(text: &str) -> String {
    [
        (r"\040", " "),
        (r"\011", "\t"),
        (r"\012", "\n"),
        (r"\134", r"\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
}

impl Mount {
    /// The tightest limit from the process's own group up to the mounted one;
    /// `groups` is the content of `/proc/self/cgroup`.
    fn limit(&self, groups: &str, root: &Path) -> Option<u64> {
        let own = groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let is_it = match self.version {
                2 => number == "0" && controllers.is_empty(),
                _ => controllers.split(',').any(|name| name == "memory"),
            };
            is_it.then_some(Path::new(path))
        })?;
        // In a container the group's path may start above what is mounted, or
        // climb out of it; then what is mounted is all that can be seen.
        let inside = own.strip_prefix(&self.group).unwrap_or(Path::new(""));
        let climbs = inside.components().any(|part| part == Component::ParentDir);
        let inside = if climbs { Path::new("") } else { inside };
        let file = match self.version {
            2 => "memory.max",
            _ => "memory.limit_in_bytes",
        };
        let point = root.join(self.point.strip_prefix("/").unwrap_or(&self.point));
        inside
            .ancestors()
            .filter_map(|group| fs::read_to_string(point.join(group).join(file)).ok())
            // "max" is no number, and no limit.
            .filter_map(|text| text.trim().parse().ok())
            .min()
    }
}

/// The number behind `key` in a file like `/proc/meminfo`, in bytes.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    let number: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    number.checked_mul(1024)
}

fn own_status(key: &str) -> Option<u64> {
    kibibytes(&fs::read_to_string("/proc/self/status").ok()?, key)
}

/// Largest resident memory of this process so far in bytes, where the system says.
pub fn peak_memory() -> Option<u64> {
    own_status("VmHWM:")
}

/// Resident memory of this process in bytes, where the system says.
pub fn resident_memory() -> Option<u64> {
    own_status("VmRSS:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;

    /// A made-up file system: names below its root and their contents.
    fn system(files: &[(&str, &str)]) -> (tempfile::TempDir, AvailableMemory) {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let found = AvailableMemory::below(root.path());
        (root, found)
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       16777216 kB\nMemFree:  3 kB\n",
    );
    const V2: (&str, &str) = (
        "proc/self/mountinfo",
        "25 1 0:22 / /proc rw - proc proc rw\n\
         30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    );

    #[test]
    fn nothing_is_known_of_an_empty_system() {
        assert_eq!(system(&[]).1, AvailableMemory::default());
        let odd = ("proc/meminfo", "MemTotal: 99999999999999999999 kB\n");
        assert_eq!(system(&[odd]).1, AvailableMemory::default());
    }

    #[test]
    fn the_machine_is_the_limit_without_groups() {
        let (_root, found) = system(&[MEMINFO, V2, ("proc/self/cgroup", "0::/user.slice\n")]);
        assert_eq!((found.machine, found.group), (Some(16 * GIB), None));
        assert_eq!(found.bytes(), Some(16 * GIB));
    }

    #[test]
    fn the_tightest_group_counts() {
        let groups = ("proc/self/cgroup", "0::/slurm/job_7/step_0\n");
        let leaf = ("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
        let job = ("sys/fs/cgroup/slurm/job_7/memory.max", "4294967296\n");
        let all = ("sys/fs/cgroup/slurm/memory.max", "8589934592\n");
        let other = ("sys/fs/cgroup/slurm/job_8/memory.max", "1048576\n");
        let (_root, found) = system(&[MEMINFO, V2, groups, leaf, job, all, other]);
        assert_eq!(found.group, Some(4 * GIB));
        assert_eq!(found.bytes(), Some(4 * GIB));
        // A limit above the machine limits nothing.
        let loose = ("sys/fs/cgroup/slurm/job_7/memory.max", "99999999999999\n");
        assert_eq!(
            system(&[MEMINFO, V2, groups, leaf, loose]).1.bytes(),
            Some(16 * GIB)
        );
    }

    #[test]
    fn version_one_is_read_beside_version_two() {
        let mounted = (
            "proc/self/mountinfo",
            "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        );
        let groups = ("proc/self/cgroup", "4:memory:/pod/one\n1:cpu:/\n0::/\n");
        let none = "9223372036854771712\n";
        let own = ("sys/fs/cgroup/memory/pod/one/memory.limit_in_bytes", none);
        let root = ("sys/fs/cgroup/memory/memory.limit_in_bytes", none);
        let free = [MEMINFO, mounted, groups, own, root];
        assert_eq!(system(&free).1.group, None);
        let pod = (
            "sys/fs/cgroup/memory/pod/memory.limit_in_bytes",
            "2147483648\n",
        );
        let mut confined = free.to_vec();
        confined.push(pod);
        assert_eq!(system(&confined).1.group, Some(2 * GIB));
    }

    #[test]
    fn a_container_sees_its_own_limit_at_the_top() {
        let top = ("sys/fs/cgroup/memory.max", "3221225472\n");
        for (mounted, own) in [("/docker/a b", "/docker/a b"), ("/", "/../../other")] {
            let line = format!(
                "30 23 0:26 {} /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
                mounted.replace(' ', r"\040")
            );
            let groups = format!("0::{own}\n");
            let files = [
                MEMINFO,
                ("proc/self/mountinfo", &line),
                ("proc/self/cgroup", &groups),
                top,
            ];
            assert_eq!(system(&files).1.group, Some(3 * GIB), "{mounted}");
        }
    }

    #[test]
    fn this_process_has_some_memory() {
        if cfg!(target_os = "linux") {
            let all = AvailableMemory::of_system().machine.unwrap();
            let (now, peak) = (resident_memory().unwrap(), peak_memory().unwrap());
            assert!(0 < now && now <= all && peak <= all);
        }
    }

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
            ("63MiB", "too little"),
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
                message.contains("write 64MiB to 16GiB, such as --memory 12GiB"),
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
                .split(|c: char| c == ' ' || c == ',')
                .filter(|word| word.ends_with("iB"))
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

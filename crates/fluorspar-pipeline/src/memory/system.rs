//! What Linux says of memory.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::AvailableMemory;

impl AvailableMemory {
    /// As [`of_system`](Self::of_system) of a file system that starts at `root`.
    pub(super) fn below(root: &Path) -> Self {
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
            "cgroup"
                if kind
                    .next_back()?
                    .split(',')
                    .any(|option| option == "memory") =>
            {
                1
            }
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

/// Counts the largest resident memory from now on, where the system lets us;
/// elsewhere the figure stays that of the whole process, which is no less.
pub(crate) fn reset_peak_memory() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Resident memory of this process in bytes, where the system says.
pub fn resident_memory() -> Option<u64> {
    own_status("VmRSS:")
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

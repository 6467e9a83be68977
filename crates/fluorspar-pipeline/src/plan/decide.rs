//! What of an earlier run stands, and why the rest does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::{Plan, Record, Task};
use crate::Error;

/// Whether a task has to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) task: String,
    /// `None` if what it made before stands.
    pub(crate) needed: Option<Need>,
}

/// Why a task has to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It was not done yet, or what it prepared is used up.
    Open,
    /// It was done, and what it made no longer holds.
    Again(String),
}

/// Goes through the tasks of a plan whose results are in `out`.
pub(crate) fn decide(
    plan: &Plan,
    out: &Path,
    records: &BTreeMap<String, Record>,
) -> Result<Vec<Decision>, Error> {
    let mut stale: BTreeMap<&str, Option<Need>> = BTreeMap::new();
    for task in &plan.tasks {
        let need = match records.get(&task.id) {
            None => Some(Need::Open),
            Some(record) if record.fingerprint != task.fingerprint => {
                Some(Need::Again(changes(task, record, &stale)))
            }
            Some(record) => damage(task, record, out)?.map(Need::Again),
        };
        stale.insert(&task.id, need);
    }
    // What only prepares is done for the sake of what comes after it.
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let mut decisions = Vec::new();
    for task in plan.tasks.iter().rev() {
        let asked = wanted.contains(task.id.as_str());
        let used_up = task
            .outputs
            .iter()
            .any(|output| output.transient && !out.join(&output.path).exists());
        let need = stale.get(task.id.as_str()).cloned().flatten();
        let prepares = task.outputs.iter().all(|output| output.transient);
        let needed = if prepares && !asked {
            None
        } else {
            need.or((asked && used_up).then_some(Need::Open))
        };
        if needed.is_some() {
            wanted.extend(task.after.iter().map(String::as_str));
        }
        decisions.push(Decision {
            task: task.id.clone(),
            needed,
        });
    }
    decisions.reverse();
    Ok(decisions)
}

/// What is wrong, at a glance, with what a task made.
fn damage(task: &Task, record: &Record, out: &Path) -> Result<Option<String>, Error> {
    for output in task.outputs.iter().filter(|output| !output.transient) {
        let name = output.path.display().to_string();
        let found = match record.outputs.get(&name) {
            Some(seal) => seal.difference(&out.join(&output.path))?,
            None => Some("is not in the record".into()),
        };
        if let Some(found) = found {
            return Ok(Some(format!("{name} {found}")));
        }
    }
    Ok(None)
}

/// What a task depends on that is not as it was.
fn changes(task: &Task, record: &Record, stale: &BTreeMap<&str, Option<Need>>) -> String {
    let own = env!("CARGO_PKG_VERSION");
    if record.fluorspar != own {
        return format!("was made by fluorspar {}, this is {own}", record.fluorspar);
    }
    if record.input_fingerprint != task.input_fingerprint {
        let names: Vec<String> = task
            .inputs
            .iter()
            .map(|p| p.display().to_string())
            .collect();
        return format!("{} changed", names.join(", "));
    }
    if let Some(difference) = difference(&record.settings, &task.settings, "") {
        return difference;
    }
    let before = task
        .after
        .iter()
        .find(|id| matches!(stale.get(id.as_str()), Some(Some(_))));
    match before {
        Some(before) => format!("{before} is made anew"),
        None => "the tasks before it are others".into(),
    }
}

/// The first place where two settings differ, in words.
fn difference(old: &Value, new: &Value, at: &str) -> Option<String> {
    if let (Value::Object(a), Value::Object(b)) = (old, new) {
        return a.keys().chain(b.keys()).find_map(|key| {
            let place = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned();
            difference(
                &of(a).unwrap_or(Value::Null),
                &of(b).unwrap_or(Value::Null),
                &place,
            )
        });
    }
    (old != new).then(|| format!("{at} was {old}, is {new}"))
}

/// What stands and what does not, in a few lines.
pub(crate) fn statement(decisions: &[Decision]) -> Vec<String> {
    const MOST: usize = 12;
    let count = decisions.len();
    let open = decisions.iter().filter(|d| d.needed == Some(Need::Open));
    let open = open.count();
    let again: Vec<(&str, &str)> = decisions
        .iter()
        .filter_map(|decision| match &decision.needed {
            Some(Need::Again(why)) => Some((decision.task.as_str(), why.as_str())),
            _ => None,
        })
        .collect();
    let mut lines = vec![format!(
        "{} of {count} tasks stand as they are, {open} are to be done, {} to be done again",
        count - open - again.len(),
        again.len()
    )];
    for (task, why) in again.iter().take(MOST) {
        lines.push(format!("{task}: {why}"));
    }
    if again.len() > MOST {
        lines.push(format!("and {} more", again.len() - MOST));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_setting_that_changed_is_named() {
        let old = json!({"denoise": {"block": 32, "x": [1, 2]}, "seed": 7});
        assert_eq!(difference(&old, &old, ""), None);
        let told = |new: Value| difference(&old, &new, "").unwrap();
        assert_eq!(
            told(json!({"denoise": {"block": 16, "x": [1, 2]}, "seed": 7})),
            "denoise.block was 32, is 16"
        );
        assert_eq!(
            told(json!({"denoise": {"block": 32, "x": [1, 2], "new": true}, "seed": 7})),
            "denoise.new was null, is true"
        );
        assert_eq!(
            told(json!({"denoise": 3, "seed": 7})),
            "denoise was {\"block\":32,\"x\":[1,2]}, is 3"
        );
    }
}

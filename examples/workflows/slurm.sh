#!/bin/bash
# The tasks of a plan as Slurm job arrays: one array for each level of the plan, which begins when
# the level before has ended well.
#
#   fluorspar plan experiment.toml --out RUN
#   slurm.sh RUN/plan.json [options of sbatch, as --partition=short]
#
# When jobs failed or were killed, call it again: tasks that are done take a second.
set -euo pipefail
plan="$(realpath "$1")"
shift
run="$(dirname "$plan")"
threads="${FLUORSPAR_THREADS:-2}"
lists="$run/.workflow/slurm"
mkdir -p "$lists"
fluorspar plan --list "$plan" > "$lists/tasks.tsv" # level, task, megabytes, minutes

after=()
for level in $(cut -f1 "$lists/tasks.tsv" | sort -nu); do
  awk -F'\t' -v level="$level" '$1 == level {print $2}' "$lists/tasks.tsv" > "$lists/level-$level"
  read -r megabytes minutes < <(awk -F'\t' -v level="$level" '
    $1 == level {if ($3 > m) m = $3; if ($4 > t) t = $4} END {print m, t}' "$lists/tasks.tsv")
  last=$(($(wc -l < "$lists/level-$level") - 1))
  job="$(sbatch --parsable --job-name="fluorspar-$level" --array="0-$last" \
    --cpus-per-task="$threads" --mem="${megabytes}M" --time="$minutes" \
    --output="$lists/%x-%a.log" "${after[@]}" "$@" <<JOB
#!/bin/bash
task="\$(sed -n "\$((SLURM_ARRAY_TASK_ID + 1))p" "$lists/level-$level")"
exec fluorspar task "$plan" "\$task" --threads "$threads" --memory "${megabytes}MB" --quiet
JOB
  )"
  echo "level $level: job $job, $((last + 1)) tasks"
  after=(--dependency="afterok:${job%%;*}" --kill-on-invalid-dep=yes)
done

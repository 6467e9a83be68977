"""The tasks of one plan on engines that others wrote: four at a time, one killed in the middle,
and the bytes those of one process.

    python engines.py FLUORSPAR WORK snakemake slurm snakemake-slurm

FLUORSPAR is the program, WORK a folder for scratch. `snakemake` needs `pip install snakemake`,
the others Slurm (slurm_loopback.sh start) and the last `snakemake-executor-plugin-slurm` too.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

WORKFLOWS = Path(__file__).resolve().parents[2] / "examples" / "workflows"
SPEC = "[experiment]\nsessions = 2\ntrials = 8\ncells = 25\nheight = 64\nwidth = 64\n"
# The longest that an engine may take, seconds; it is killed after that.
PATIENCE = 900


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a run but what tells times and what is hidden."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not hidden and name.name not in ("run.json", "plan.json"):
            found[str(name)] = path.read_bytes()
    return found


def kill_one(plan: Path, stop: threading.Event, killed: list[str]) -> None:
    """Kills the first worker that is seen at a task of registration or of finding cells."""
    while not stop.is_set():
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if len(words) < 4 or words[1] != b"task" or words[2] != str(plan).encode():
                continue
            task = words[3].decode()
            if "register-" in task or task.endswith("cells"):
                time.sleep(0.02)
                try:
                    os.kill(int(entry.name), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                killed.append(task)
                return
        time.sleep(0.002)


def snakemake(program: str, plan: Path, slurm: bool) -> None:
    command = [
        "timeout", "-k", "5", str(PATIENCE), sys.executable, "-m", "snakemake",
        "--snakefile", WORKFLOWS / "Snakefile", "--directory", plan.parent / ".workflow",
        "--config", f"plan={plan}", f"fluorspar={program}", "threads=1", "--quiet", "all",
    ]  # fmt: skip
    if slurm:
        command += [
            "--executor", "slurm", "--jobs", "8", "--slurm-no-account",
            "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2",
            "--seconds-between-status-checks", "2",
        ]  # fmt: skip
    else:
        command += ["--cores", "4"]
    subprocess.run(command, check=True)


def slurm(program: str, plan: Path) -> None:
    folder = str(Path(program).parent)
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "FLUORSPAR_THREADS": "1"}
    begun = time.time()
    # As a user would: again, when jobs failed.
    for _ in range(3):
        subprocess.run([WORKFLOWS / "slurm.sh", plan], check=True, env=env, stdout=subprocess.DEVNULL)
        while subprocess.run(["squeue", "-h"], capture_output=True, check=True).stdout.strip():
            if time.time() > begun + PATIENCE:
                sys.exit(f"Slurm is not done after {PATIENCE} s")
            time.sleep(0.5)
        if (plan.parent / "report.html").exists():
            return
    sys.exit("Slurm did not finish the plan")


def main() -> None:
    program, work, engines = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2]), sys.argv[3:]
    work.mkdir(parents=True, exist_ok=True)
    work = work.resolve()

    def fluorspar(*arguments):
        subprocess.run([program, *map(str, arguments), "--quiet"], check=True, cwd=work, stdout=subprocess.DEVNULL)

    (work / "spec.toml").write_text(SPEC)
    shutil.rmtree(work / "raw", ignore_errors=True)
    fluorspar("simulate", "spec.toml", "raw")
    fluorspar("run", "raw/experiment.toml", "--out", "one", "--overwrite")
    expected = contents(work / "one")
    for engine in engines:
        out = work / engine
        shutil.rmtree(out, ignore_errors=True)
        fluorspar("plan", "raw/experiment.toml", "--out", out, "--frames-per-task", 500)
        plan = out / "plan.json"
        stop, killed = threading.Event(), []
        murderer = threading.Thread(target=kill_one, args=(plan, stop, killed))
        murderer.start()
        begun = time.time()
        if engine == "slurm":
            slurm(program, plan)
        else:
            snakemake(program, plan, engine.endswith("slurm"))
        took = time.time() - begun
        stop.set()
        murderer.join()
        found = contents(out)
        if found.keys() != expected.keys():
            sys.exit(f"{engine}: other files: {sorted(found.keys() ^ expected.keys())}")
        for name in expected:
            if found[name] != expected[name]:
                sys.exit(f"{engine}: {name} has other bytes")
        if not killed:
            sys.exit(f"{engine}: no worker was seen, and none killed")
        print(f"{engine}: {len(expected)} files, the same bytes; {killed[0]} was killed; {took:.0f} s")


if __name__ == "__main__":
    main()

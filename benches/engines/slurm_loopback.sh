#!/bin/bash
# A Slurm of one node on this machine, for tests; needs root and Debian's slurmctld, slurmd,
# slurm-client and munge. `slurm_loopback.sh start` returns when the node is idle, `stop` ends it.
set -euo pipefail
state=/var/spool/fluorspar-slurm

start() {
  local host cpus megabytes
  host="$(hostname -s)"
  cpus="$(nproc)"
  megabytes=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 - 512))
  mkdir -p "$state/ctld" "$state/d" /run/munge /etc/slurm /var/log/munge /var/lib/munge
  [ -s /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1 count=1024 status=none
  chown -R munge:munge /run/munge /etc/munge /var/log/munge /var/lib/munge
  chmod 400 /etc/munge/munge.key
  # Four tasks at a time on two cores: processors are counted twice.
  cat > /etc/slurm/slurm.conf <<CONF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/d
SlurmctldPidFile=$state/ctld.pid
SlurmdPidFile=$state/d.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
MinJobAge=300
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$((4 * cpus)) RealMemory=$megabytes State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
SlurmdParameters=config_overrides
CONF
  su munge -s /bin/sh -c /usr/sbin/munged || true
  slurmctld -c
  slurmd
  for _ in $(seq 60); do
    if [ "$(sinfo -h -o %T 2>/dev/null)" = idle ]; then return; fi
    sleep 1
  done
  echo "the node did not become idle: $(sinfo 2>&1)" >&2
  exit 1
}

stop() {
  scancel --full -u root 2>/dev/null || true
  for name in d ctld; do
    if [ -s "$state/$name.pid" ]; then kill "$(cat "$state/$name.pid")" 2>/dev/null || true; fi
  done
  pkill -x munged || true
}

"$1"

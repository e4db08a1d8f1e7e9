// Where a comparison plays: a temporary directory, the processes started in it, and their end.

import { fork, spawn, spawnSync } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { performance } from "node:perf_hooks";

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export class Stage {
  #running = new Set();

  constructor(name) {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), `concord-peers-${name}-`));
    // However the script ends, nothing that it started stays behind.
    this.end = () => this.#end();
    process.on("exit", this.end);
  }

  path(...names) {
    return path.join(this.dir, ...names);
  }

  // Starts a program whose output goes to a file.
  start(name, command, args, options = {}) {
    const log = fs.openSync(this.path(`${name}.log`), "a");
    const child = spawn(command, args, { cwd: this.dir, stdio: ["pipe", log, log], ...options });
    return this.#keep(name, child, log);
  }

  // Starts a module of this directory as a process that answers messages.
  fork(name, module, args) {
    const log = fs.openSync(this.path(`${name}.log`), "a");
    const child = fork(module, args, { stdio: ["ignore", log, log, "ipc"], serialization: "advanced" });
    return this.#keep(name, child, log);
  }

  #keep(name, child, log) {
    fs.closeSync(log);
    child.label = name;
    this.#running.add(child);
    child.on("error", (error) => (child.failure = error));
    return child;
  }

  // Waits for work. Fails when it takes too long or a process is gone.
  async within(what, seconds, work) {
    const end = performance.now() + seconds * 1_000;
    let over = false;
    const watch = async () => {
      while (!over && performance.now() < end) {
        this.#mustRun();
        await sleep(50);
      }
      if (!over) throw new Error(`${what}: not within ${seconds} s.\n${this.#logs()}`);
    };
    try {
      return await Promise.race([work, watch()]);
    } catch (error) {
      // Perhaps only because a process has just ended, which then says more.
      await sleep(100);
      this.#mustRun();
      throw error;
    } finally {
      over = true;
    }
  }

  // Asks until the answer is true.
  async until(what, seconds, ask, pause = 20) {
    let over = false;
    const loop = async () => {
      for (;;) {
        const answer = await ask();
        if (answer || over) return answer;
        await sleep(pause);
      }
    };
    try {
      return await this.within(what, seconds, loop());
    } finally {
      over = true;
    }
  }

  #mustRun() {
    for (const child of this.#running) {
      if (!child.failure && child.exitCode === null && child.signalCode === null) continue;
      const why = child.failure?.message ?? `exit code ${child.exitCode ?? child.signalCode}`;
      throw new Error(`process ${child.label} ended: ${why}\n${this.#logs()}`);
    }
  }

  #logs() {
    const files = fs.readdirSync(this.dir).filter((file) => file.endsWith(".log"));
    const tail = (file) => fs.readFileSync(this.path(file), "utf8").trimEnd().split("\n").slice(-10);
    return files.map((file) => [`--- end of ${file}`, ...tail(file)].join("\n")).join("\n");
  }

  // Stops everything and waits for it.
  async close() {
    const ends = [...this.#running].filter((child) => child.exitCode === null && !child.failure);
    const ended = ends.map((child) => child.signalCode ?? once(child, "exit"));
    this.end();
    await Promise.all(ended);
    fs.rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
    process.off("exit", this.end);
  }

  #end() {
    for (const child of this.#running) child.kill("SIGKILL");
    this.#running.clear();
    fs.rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

// Resident memory of a process, in bytes.
export function resident(pid) {
  const status = `/proc/${pid}/status`;
  if (fs.existsSync(status)) {
    return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(status, "utf8"))[1]) * 1024;
  }
  return Number(spawnSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" }).stdout) * 1024;
}

// A port of loopback that nobody uses now.
export async function freePort(kind = "tcp") {
  const holder = kind === "tcp" ? net.createServer() : dgram.createSocket("udp4");
  kind === "tcp" ? holder.listen(0, "127.0.0.1") : holder.bind(0, "127.0.0.1");
  await once(holder, "listening");
  const { port } = holder.address();
  holder.close();
  await once(holder, "close");
  return port;
}

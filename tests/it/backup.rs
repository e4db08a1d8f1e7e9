//! Backups by the real program: of running and of stopped nodes, one segment after the other, damaged and
//! cut off; and restores, after which nothing is missing and no number is used twice.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use node::cli::{CliError, Client, Method, Request};
use serde_json::{Value as Json, json};

use crate::process::{Process, Processes, concord_json};

fn create(client: &Client, name: &str) -> Result<Json, CliError> {
    let body = json!({"name": {"legal": name}});
    client.ask(&Request::new(Method::POST, "/v1/customers").json(&body))
}

fn create_all(node: &Process, names: &[&str]) {
    names.iter().for_each(|name| drop(create(&node.client, name).unwrap()));
}

/// How many customers a node shows.
fn customers(node: &Process) -> usize {
    let export = node.client.ask_bytes(&Request::get("/v1/export")).unwrap();
    String::from_utf8(export).unwrap().lines().count()
}

fn dir(node: &Process) -> &str {
    node.dir.to_str().unwrap()
}

fn backup(code: i32, node: &Process, to: &str) -> Json {
    concord_json(code, &["backup", "--to", to, "--dir", dir(node)])
}

fn verified(code: i32, backup: &str) -> Json {
    concord_json(code, &["backup", "verify", backup])
}

fn restore(code: i32, node: &Process, from: &str) -> Json {
    concord_json(code, &["restore", "--from", from, "--dir", dir(node)])
}

/// The node does not serve, because something is missing.
fn assert_not_ready(node: &Process) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        match node.client.ask(&Request::get("/v1/customers")) {
            Err(CliError::Problem(problem)) => return assert_eq!(problem.code(), "not-ready"),
            Ok(answer) => panic!("served {answer}"),
            Err(_) => assert!(std::time::Instant::now() < deadline, "{}", node.log()),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_restored_node_fetches_what_is_newer_before_it_serves() {
    let mut network = Processes::set_up(&["EMEA", "AMER"]);
    network.start();
    create_all(&network.nodes[0], &["Alpha GmbH", "Beta GmbH"]);
    create_all(&network.nodes[1], &["Gamma Inc"]);
    network.converge();
    let to = network.path("backup");
    let said = backup(0, &network.nodes[0], &to);
    assert_eq!(
        (&said["commits"], &said["added"], &said["segments"]),
        (&json!(3), &json!(3), &json!(1))
    );
    create_all(&network.nodes[0], &["Delta GmbH"]);
    let said = backup(0, &network.nodes[0], &to);
    assert_eq!(
        (&said["commits"], &said["added"], &said["segments"]),
        (&json!(4), &json!(1), &json!(2))
    );
    let said = backup(0, &network.nodes[0], &to);
    assert_eq!((&said["added"], &said["segments"]), (&json!(0), &json!(2)));
    assert_eq!(verified(0, &to)["commits"], json!(4));
    // Written after the backup, and acknowledged by the peer.
    create_all(&network.nodes[0], &["Epsilon GmbH"]);
    network.converge();
    network.nodes.iter_mut().for_each(Process::kill);

    // On new hardware there is neither a store nor a watermark.
    for name in ["store", "watermark"] {
        let path = network.nodes[0].dir.join(name);
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
            .unwrap();
    }
    let said = restore(0, &network.nodes[0], &to);
    assert_eq!((&said["commits"], &said["customers"]), (&json!(4), &json!(4)));
    assert!(restore(3, &network.nodes[0], &to).to_string().contains("There is a store"));
    network.nodes[0].spawn();
    assert_not_ready(&network.nodes[0]);
    network.nodes[1].start();
    network.nodes[0].await_ready();
    assert_eq!(customers(&network.nodes[0]), 5);
    create_all(&network.nodes[0], &["Zeta GmbH"]);
    network.converge();
    // What it holds is in another order than before, so the next backup begins anew.
    let said = backup(0, &network.nodes[0], &to);
    assert_eq!(said["commits"], json!(6));
    for node in &mut network.nodes {
        node.kill();
        node.verify();
    }
    assert_eq!(verified(0, &to)["commits"], json!(6));
}

#[test]
fn no_number_is_used_twice_after_a_restore_without_peers() {
    let mut network = Processes::set_up(&["EMEA", "AMER"]);
    network.start();
    create_all(&network.nodes[0], &["Alpha GmbH", "Beta GmbH"]);
    let to = network.path("backup");
    backup(0, &network.nodes[0], &to);
    // The same log goes on after the backup, and the peer holds what the backup does not.
    create_all(&network.nodes[0], &["Gamma GmbH", "Delta GmbH"]);
    network.converge();
    network.nodes.iter_mut().for_each(Process::kill);
    std::fs::remove_dir_all(network.nodes[0].dir.join("store")).unwrap();
    restore(0, &network.nodes[0], &to);
    network.nodes[0].spawn_with(&["--accept-loss"]);
    network.nodes[0].await_ready();
    assert_eq!(customers(&network.nodes[0]), 2);
    create_all(&network.nodes[0], &["Epsilon GmbH", "Zeta GmbH"]);
    network.nodes[1].start();
    network.converge();
    for node in &mut network.nodes {
        assert_eq!(customers(node), 6);
        let forks = node.client.ask(&Request::get("/v1/forks")).unwrap();
        assert_eq!(forks["forks"], json!([]));
        node.kill();
        node.verify();
    }
}

#[test]
fn backups_while_somebody_writes_are_whole_and_survive_a_kill_of_the_node() {
    let mut network = Processes::set_up(&["EMEA"]);
    let to = network.path("backup");
    let mut acknowledged = 0;
    for _ in 0..3 {
        let node = &mut network.nodes[0];
        node.start();
        let (client, stop) = (node.client.clone(), AtomicBool::new(false));
        let mut done = 0;
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut done = 0;
                while !stop.load(Ordering::Relaxed) && create(&client, "Customer AG").is_ok() {
                    done += 1;
                }
                done
            });
            // What was acknowledged before a backup begins is in it.
            for _ in 0..3 {
                let held = node.client.ask(&Request::get("/v1/status")).unwrap();
                let said = backup(0, node, &to);
                assert!(said["commits"].as_u64() >= held["commits"].as_u64(), "{said} {held}");
            }
            let killed = std::process::Command::new(crate::process::CONCORD)
                .args(["backup", "--to", &to, "--dir", dir(node)])
                .spawn();
            node.kill();
            stop.store(true, Ordering::Relaxed);
            done = writer.join().unwrap();
            killed.unwrap().wait().unwrap();
        });
        acknowledged += done;
        verified(0, &to);
    }
    // Stopped, it gives the rest.
    let said = backup(0, &network.nodes[0], &to);
    assert!(said["commits"].as_u64() >= Some(acknowledged), "{said} {acknowledged}");
    std::fs::remove_dir_all(network.nodes[0].dir.join("store")).unwrap();
    let restored = restore(0, &network.nodes[0], &to);
    assert_eq!(restored["commits"], said["commits"]);
    network.nodes[0].spawn_with(&["--accept-loss"]);
    network.nodes[0].await_ready();
    assert_eq!(Some(customers(&network.nodes[0]) as u64), said["commits"].as_u64());
    network.nodes[0].kill();
    network.nodes[0].verify();
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() - at;
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_cut_or_foreign_backup_is_refused_and_what_is_sound_of_it_is_of_use() {
    let mut network = Processes::set_up(&["EMEA", "AMER"]);
    network.start();
    let to = network.path("backup");
    create_all(&network.nodes[0], &["Alpha GmbH"]);
    backup(0, &network.nodes[0], &to);
    assert!(backup(3, &network.nodes[1], &to).to_string().contains("is the backup of node"));
    // What a run left that was cut off counts for nothing.
    let second = Path::new(&to).join("000002.segment");
    std::fs::write(&second, b"half of it").unwrap();
    assert_eq!(verified(0, &to)["commits"], json!(1));
    create_all(&network.nodes[0], &["Beta GmbH"]);
    backup(0, &network.nodes[0], &to);
    assert_eq!(verified(0, &to)["commits"], json!(2));
    let file = network.path("backup.one");
    concord_json(0, &["backup", "--to-file", &file, "--dir", dir(&network.nodes[0])]);
    concord_json(3, &["backup", "--to-file", &file, "--dir", dir(&network.nodes[0])]);
    assert_eq!(verified(0, &file)["commits"], json!(2));
    network.nodes.iter_mut().for_each(Process::kill);
    let node = &network.nodes[0];
    std::fs::rename(node.dir.join("store"), node.dir.join("store.before")).unwrap();

    let sound = std::fs::read(&second).unwrap();
    for damaged in [5, 150, sound.len() / 2, sound.len() - 4] {
        flip(&second, damaged);
        let problems = verified(1, &to);
        assert_eq!(problems["problems"].as_array().unwrap().len(), 1, "{problems}");
        assert!(restore(3, node, &to).to_string().contains("000002.segment"));
        std::fs::write(&second, &sound).unwrap();
    }
    std::fs::write(&second, &sound[..sound.len() - 20]).unwrap();
    verified(1, &to);
    restore(3, node, &to);
    // A segment of another time under its name.
    std::fs::write(&second, std::fs::read(Path::new(&to).join("000001.segment")).unwrap()).unwrap();
    verified(1, &to);
    restore(3, node, &to);
    assert!(!node.dir.join("store").exists() && !node.dir.join("store.restoring").exists());
    let first = ["restore", "--segments", "1", "--from", &to, "--dir", dir(node)];
    assert_eq!(concord_json(0, &first)["commits"], json!(1));

    // A restore that was cut off is no empty node.
    std::fs::rename(node.dir.join("store"), node.dir.join("store.restoring")).unwrap();
    assert!(concord_json(3, &["run", "--dir", dir(node)]).to_string().contains("was cut off"));
    assert_eq!(restore(0, node, &file)["commits"], json!(2));
    assert!(!node.dir.join("store.restoring").exists());
    network.nodes[0].spawn();
    network.nodes[1].start();
    network.nodes[0].await_ready();
    network.converge();
    assert_eq!(customers(&network.nodes[0]), 2);
    // A backup of another network is none of this one.
    let other = Processes::set_up(&["EMEA"]);
    assert!(restore(3, &other.nodes[0], &file).to_string().contains("belongs to"));
}

//! The stream of events.

use hexad_api::node::{Change, Daemon as _, NewDownload};
use serde_json::{Value, json};

use crate::client::{Client, change};
use crate::fake::{Scene, scene};

/// One who listens.
struct Listener(Client);

impl Listener {
    fn new(scene: &Scene) -> Self {
        let mut client = Client::new(scene.face.address());
        client.send("GET", "/api/events", &[], b"");
        let head = client.head();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
        assert_eq!(head.header("content-encoding"), None);
        Self(client)
    }

    /// The next event: what it is called, and what it says.
    fn next(&mut self) -> (String, Value) {
        let mut name = String::new();
        loop {
            let line = self.0.line();
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return (name, serde_json::from_str(data).expect("JSON"));
            }
        }
    }
}

#[test]
fn who_listens_is_greeted_and_told_what_changes() {
    let scene = scene();
    let mut listener = Listener::new(&scene);
    assert_eq!(listener.next(), ("hello".into(), json!({ "kind": "hello", "version": "1.2.3" })));
    let download = scene.node.begin_download(NewDownload { source: "a".into(), ..NewDownload::default() }).expect("begun");
    scene.node.feed.tell(Change::Download { download: download.clone() });
    scene.node.feed.tell(Change::DownloadRemoved { id: download.id });
    let (name, told) = listener.next();
    assert_eq!((name.as_str(), &told["download"]["name"]), ("download", &json!(download.name)));
    assert_eq!(listener.next(), ("download_removed".into(), json!({ "kind": "download_removed", "id": download.id })));
}

#[test]
fn a_run_of_the_lab_is_told_to_all_who_listen() {
    let scene = scene();
    let mut listeners = [Listener::new(&scene), Listener::new(&scene)];
    listeners.iter_mut().for_each(|listener| assert_eq!(listener.next().0, "hello"));
    let run = change(scene.face.address(), "POST", "/api/lab/runs", r#"{"scenario":"lab/quick"}"#).json();
    for listener in &mut listeners {
        let (name, told) = listener.next();
        assert_eq!((name.as_str(), &told["run"], &told["event"]), ("lab", &run["id"], &json!({ "event": "phase", "name": "walk" })));
    }
}

#[test]
fn who_reads_too_slowly_is_told_to_load_again() {
    let scene = scene();
    let mut listener = Listener::new(&scene);
    assert_eq!(listener.next().0, "hello");
    // More than the feed keeps and than the sockets hold.
    for id in 0..200_000 {
        scene.node.feed.tell(Change::Warning { message: format!("{id} {}", "x".repeat(200)) });
    }
    scene.node.feed.tell(Change::ShareRemoved { id: 7 });
    let mut greeted = 0;
    loop {
        match listener.next() {
            (name, _) if name == "hello" => greeted += 1,
            (name, told) if name == "share_removed" => {
                assert_eq!(told["id"], 7);
                break;
            }
            _ => {}
        }
        // Whoever was told to load again may have lost the last one as well.
        if greeted > 0 {
            break;
        }
    }
    assert!(greeted > 0, "something was lost and nobody was told");
}

#[test]
fn only_so_many_listen_at_a_time() {
    let scene = scene();
    let listeners: Vec<Listener> = (0..64).map(|_| Listener::new(&scene)).collect();
    let mut late = Client::new(scene.face.address());
    late.send("GET", "/api/events", &[], b"");
    assert_eq!(late.head().status, 503);
    drop(listeners);
}

//! Who is let in.

use std::net::SocketAddr;

use hexad_daemon::HttpFace;

use crate::client::{Answer, ask};
use crate::fake::{Scene, scene, scene_with};

const JSON: (&str, &str) = ("content-type", "application/json");
const TOKEN: &str = "a-token-of-some-letters";

fn at(face: &HttpFace) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], face.address().port()))
}

#[test]
fn a_name_that_others_have_let_point_here_is_not_ours() {
    let scene = scene();
    for (host, status) in
        [("localhost:4080", 200), ("127.0.0.1", 200), ("[::1]:1", 200), ("evil.example", 403), ("evil.example:4080", 403), ("", 403)]
    {
        for path in ["/api/status", "/", "/health", "/metrics"] {
            let answer = ask(at(&scene.face), "GET", path, &[("host", host)], "");
            assert_eq!(answer.status, status, "{host} {path}");
            assert!(status == 200 || answer.is_problem());
        }
    }
    let absolute = ask(at(&scene.face), "GET", "http://evil.example/api/status", &[("host", "localhost")], "");
    assert_eq!(absolute.status, 403, "what the request line says counts before what Host says");
}

#[test]
fn a_name_of_the_configuration_is_ours() {
    let scene = scene_with(|settings| settings.allowed_hosts = vec!["node.example".into()]);
    assert_eq!(ask(at(&scene.face), "GET", "/api/status", &[("host", "Node.Example:443")], "").status, 200);
}

#[test]
fn a_page_of_somebody_else_may_not_call() {
    let scene = scene();
    let at = at(&scene.face);
    let own = format!("http://{at}");
    let asked = |origin: &str| ask(at, "POST", "/api/searches", &[JSON, ("origin", origin)], r#"{"words":["a"]}"#).status;
    assert_eq!(asked(&own), 201);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost", ""] {
        assert_eq!(asked(origin), 403, "{origin}");
    }
    let elsewhere = ("sec-fetch-site", "cross-site");
    assert_eq!(ask(at, "GET", "/api/status", &[elsewhere], "").status, 403);
    assert_eq!(ask(at, "GET", "/", &[elsewhere, ("sec-fetch-mode", "navigate")], "").status, 200, "a link may lead to the page");
}

#[test]
fn what_a_form_could_send_changes_nothing() {
    let scene = scene();
    let at = at(&scene.face);
    for kind in ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/octet-stream"] {
        for (method, path) in
            [("POST", "/api/searches"), ("POST", "/api/networks/chord/leave"), ("DELETE", "/api/searches/1"), ("PUT", "/api/settings")]
        {
            let answer = ask(at, method, path, &[("content-type", kind)], r#"{"words":["a"]}"#);
            assert!(answer.status == 415 && answer.is_problem(), "{kind} {method} {path}: {}", answer.status);
        }
    }
    assert_eq!(ask(at, "PUT", "/api/library/files/a", &[JSON], "{}").status, 415, "a file is no JSON");
    let with_charset = ("content-type", "application/json; charset=utf-8");
    assert_eq!(ask(at, "POST", "/api/searches", &[with_charset], r#"{"words":["a"]}"#).status, 201);
}

fn locked() -> Scene {
    scene_with(|settings| {
        settings.listen = ([0, 0, 0, 0], 0).into();
        settings.token = Some(TOKEN.into());
    })
}

#[test]
fn beyond_loopback_a_token_is_needed() {
    let scene = locked();
    let asked = |path: &str, headers: &[(&str, &str)]| ask(at(&scene.face), "GET", path, headers, "");
    for path in ["/api/status", "/metrics", "/api/events", "/api/nothing", "/api"] {
        let answer = asked(path, &[]);
        assert!(answer.status == 401 && answer.is_problem() && answer.header("www-authenticate").is_some(), "{path}");
    }
    assert_eq!(asked("/health", &[]).status, 200, "whether it is there is no secret");
    assert_eq!(asked("/api/status", &[("authorization", "Bearer a-token-of-some-letters")]).status, 200);
    assert_eq!(asked("/api/status", &[("authorization", "bearer a-token-of-some-letters")]).status, 200);
    assert_eq!(asked("/api/status", &[("cookie", "other=1; hexad_token=a-token-of-some-letters")]).status, 200);
    for wrong in ["Bearer a-token-of-some-letterz", "Bearer a-token-of-some-letter", "Bearer ", "Basic a-token-of-some-letters", ""] {
        assert_eq!(asked("/api/status", &[("authorization", wrong)]).status, 401, "{wrong}");
    }
    assert_eq!(asked("/api/status?token=a-token-of-some-letters", &[]).status, 401, "an address is written into logs");
}

#[test]
fn who_guesses_tokens_is_not_heard_for_a_while() {
    let scene = locked();
    let asked = |path: &str, headers: &[(&str, &str)]| ask(at(&scene.face), "GET", path, headers, "");
    let own = ("authorization", "Bearer a-token-of-some-letters");
    let stale = ("cookie", "hexad_token=that-of-yesterday");
    for _ in 0..50 {
        assert_eq!(asked("/api/status", &[stale]).status, 401, "the same over and over is no guess");
        assert_eq!(asked("/api/status", &[]).status, 401, "and neither is nothing");
    }
    assert_eq!(asked("/api/status", &[own]).status, 200);
    for number in 0..9 {
        let guess = format!("guess-{number}-of-some-letters");
        let answer = match number % 2 {
            0 => asked(&format!("/?token={guess}"), &[]),
            _ => asked("/api/status", &[("authorization", &format!("Bearer {guess}"))]),
        };
        assert_eq!(answer.status, 401);
    }
    for path in ["/api/status", "/metrics", "/", "/api/events"] {
        let answer = asked(path, &[own]);
        assert!(answer.status == 429 && answer.is_problem(), "{path}: {}, even with the token", answer.status);
        let wait: u64 = answer.header("retry-after").and_then(|wait| wait.parse().ok()).expect("how long to wait");
        assert!((1..=61).contains(&wait), "{wait}");
    }
    assert_eq!(asked("/?token=a-token-of-some-letters", &[]).status, 429);
    assert_eq!(asked("/api/status", &[]).status, 401, "who says nothing is told what to say");
    assert_eq!(asked("/health", &[]).status, 200);
}

#[test]
fn a_browser_shows_the_token_once() {
    let scene = locked();
    let asked = |path: &str, headers: &[(&str, &str)]| -> Answer { ask(at(&scene.face), "GET", path, headers, "") };
    let shut = asked("/", &[]);
    assert!(shut.status == 401 && shut.text().contains("<form>"), "{}", shut.text());
    assert_eq!(shut.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(asked("/?token=wrong", &[]).status, 401);
    let opened = asked("/?token=a%2Dtoken-of-some-letters", &[]);
    assert_eq!((opened.status, opened.header("location")), (303, Some("./")));
    let cookie = opened.header("set-cookie").expect("a cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"), "{cookie}");
    let kept = cookie.split(';').next().expect("a value");
    assert_eq!(asked("/", &[("cookie", kept)]).status, 200);
}

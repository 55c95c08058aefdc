//! The page, and what comes before its path.

use crate::client::{ask, change, get};
use crate::fake::{scene, scene_with};

#[test]
fn every_path_that_is_nothing_else_is_the_page() {
    let scene = scene();
    let at = scene.face.address();
    for (path, base) in [("/", "./"), ("/downloads", "./"), ("/downloads/7/blocks", "../../")] {
        let page = get(at, path);
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")), "{path}");
        let text = page.text();
        assert!(text.contains(&format!("<base href=\"{base}\">")) || text.matches("<base ").count() == 1, "{path}: {text}");
        assert_eq!(page.header("cache-control"), Some("no-cache"));
    }
    assert_eq!(get(at, "/assets/none.js").status, 404);
}

#[test]
fn a_page_that_is_known_is_not_sent_again() {
    let scene = scene();
    let at = scene.face.address();
    let first = get(at, "/");
    let etag = first.header("etag").expect("an etag");
    assert_eq!(ask(at, "GET", "/", &[("if-none-match", etag)], "").status, 304);
    assert_eq!(ask(at, "GET", "/", &[("if-none-match", "\"other\"")], "").status, 200);
    let head = ask(at, "HEAD", "/", &[], "");
    assert!(head.status == 200 && head.body.is_empty());
}

#[test]
fn the_page_may_do_only_what_a_page_of_ours_does() {
    let scene = scene();
    let page = get(scene.face.address(), "/");
    let policy = page.header("content-security-policy").expect("a policy");
    for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "connect-src 'self'"] {
        assert!(policy.contains(part), "{policy}");
    }
    for (name, value) in [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")] {
        assert_eq!(page.header(name), Some(value));
    }
    let refused = ask(scene.face.address(), "GET", "/", &[("host", "evil.example")], "");
    assert_eq!(refused.header("x-content-type-options"), Some("nosniff"), "what is refused has them, too");
}

#[test]
fn long_answers_are_compressed_for_who_can_read_that() {
    let scene = scene();
    scene.node.fill(100);
    let plain = get(scene.face.address(), "/api/downloads");
    let packed = ask(scene.face.address(), "GET", "/api/downloads", &[("accept-encoding", "gzip")], "");
    assert_eq!((plain.header("content-encoding"), packed.header("content-encoding")), (None, Some("gzip")));
    assert!(packed.body.len() * 5 < plain.body.len(), "{} of {}", packed.body.len(), plain.body.len());
}

#[test]
fn everything_is_below_the_base_path() {
    let scene = scene_with(|settings| settings.base_path = "/hexad/".into());
    let at = scene.face.address();
    assert_eq!(get(at, "/hexad/api/status").status, 200);
    assert_eq!(get(at, "/hexad/health").status, 200);
    assert_eq!(change(at, "POST", "/hexad/api/searches", r#"{"words":["a"]}"#).status, 201);
    assert_eq!(get(at, "/hexad/api/downloads?limit=x").status, 400, "what follows the path comes along");
    let page = get(at, "/hexad/downloads/7");
    assert!(page.status == 200 && page.text().contains("<base href=\"../\">"), "{}", page.text());
    let moved = get(at, "/hexad");
    assert_eq!((moved.status, moved.header("location")), (308, Some("/hexad/")));
    for outside in ["/", "/api/status", "/hexadecimal", "/health"] {
        let answer = get(at, outside);
        assert!(answer.status == 404 && answer.is_problem(), "{outside}");
    }
    assert_eq!(get(at, "/hexad/api/openapi.json").json()["servers"][0]["url"], "/hexad");
    assert!(scene.face.url().ends_with("/hexad/"));
}

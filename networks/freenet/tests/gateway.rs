//! What a browser is given by the gateway, and what it is not.

use bytes::Bytes;
use hexad_core::Failure;
use hexad_freenet::gateway::{Asked, Page, Want, asked, failed, found, is_our_host};

fn want(target: &str) -> Want {
    match asked(target) {
        Asked::Key(want) => *want,
        Asked::Page(page) => panic!("{target}: {page:?}"),
    }
}

fn page(target: &str) -> Page {
    match asked(target) {
        Asked::Page(page) => *page,
        Asked::Key(want) => panic!("{target}: {want:?}"),
    }
}

fn header<'a>(page: &'a Page, name: &str) -> Option<&'a str> {
    page.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

fn text(page: &Page) -> &str {
    std::str::from_utf8(&page.body).unwrap()
}

fn shown(mime: &str, bytes: &[u8]) -> Page {
    let want = want("/KSK@page");
    found(&want, &want.uri, Some(mime), &Bytes::copy_from_slice(bytes))
}

fn html(source: &str) -> String {
    let page = shown("text/html", source.as_bytes());
    assert_eq!(page.status, 200);
    text(&page).to_owned()
}

fn check(source: &str, has: &[&str], lacks: &[&str]) {
    let page = html(source);
    for part in has {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    for part in lacks {
        assert!(!page.to_ascii_lowercase().contains(part), "{part} is in {page}");
    }
}

#[test]
fn what_a_path_asks_for() {
    assert_eq!(want("/KSK@greeting").uri.to_string(), "KSK@greeting");
    assert_eq!(want("/freenet:KSK@greeting").uri.to_string(), "KSK@greeting");
    assert_eq!(want("/KSK%40greeting?max-size=7").bytes_max, 7);
    assert_eq!(page("/KXK@greeting").status, 400);
    assert_eq!(page("/nothing").status, 400);
    assert_eq!(page("/").status, 200);
    let there = page("/?key=KSK%40greeting");
    assert_eq!((there.status, header(&there, "location")), (302, Some("/freenet:KSK@greeting")));
    assert_eq!(page("/?key=what").status, 400);
}

#[test]
fn what_is_not_found_is_404() {
    assert_eq!(failed(&Failure::NotFound("nobody has it".into())).status, 404);
    assert_eq!(failed(&Failure::TimedOut(60)).status, 404);
    assert_eq!(failed(&Failure::Full("busy")).status, 503);
    assert_eq!(failed(&Failure::Unusable("it has more than 7 bytes".into())).status, 413);
    let page = failed(&Failure::NotFound("<script>alert(1)</script>".into()));
    assert!(!text(&page).contains("<script"));
}

#[test]
fn pages_keep_what_is_harmless_and_lose_the_rest() {
    check(
        "<html><head><title>Blue &amp; <b>green</b></title><script>evil()</script></head><body onload=evil()><h1 class=x>Hello</h1>\
         <img src=a.png onerror=evil()><iframe src=/KSK@x></iframe><form action=//evil><input name=a></form></body></html>",
        &["<title>Blue &amp; green</title>", "<h1 class=\"x\">Hello</h1>", "<img src=\"a.png\">"],
        &["evil", "onload", "onerror", "<iframe", "<form", "<input", "<script"],
    );
    check(
        "<svg><script>evil()</script></svg><math><mtext><style><img src=x onerror=evil()></style></mtext></math>ok",
        &["ok"],
        &["evil", "<svg"],
    );
    check("<base href=//evil><meta http-equiv=refresh content='0;url=//evil'>ok", &["ok"], &["evil", "<base", "refresh"]);
}

#[test]
fn links_stay_inside_or_ask_first() {
    check(
        "<a href='next.html#top'>1</a><a href='freenet:KSK@two'>2</a><a href='/KSK@three'>3</a><a href='http://127.0.0.1:8888/KSK@four'>4</a>",
        &["\"next.html#top\"", "\"/KSK@two\"", "\"/KSK@three\"", "\"/KSK@four\""],
        &["http:", "freenet:"],
    );
    check("<a href='http://evil.example/a?b'>out</a>", &["\"/external-link/?to=http%3A%2F%2Fevil.example%2Fa%3Fb\""], &["\"http:"]);
    check("<a href='//evil.example/'>out</a>", &["\"/external-link/?to=http%3A%2F%2Fevil.example%2F\""], &["\"//"]);
    for outside in ["http://evil.example/a.png", "//evil.example/a.png", "data:image/png;base64,AAAA", "\\\\evil.example\\a.png", "/fcp"] {
        check(&format!("<img src='{outside}'>"), &["<img>"], &["evil", "data:"]);
    }
    for script in ["javascript:evil()", " java\nscript:evil()", "JAVASCRIPT:evil()", "vbscript:evil", "data:text/html,evil"] {
        check(&format!("<a href='{script}'>x</a>"), &[">x</a>"], &["evil"]);
    }
    let asks = page("/external-link/?to=http%3A%2F%2Fout.example%2F%22%3E%3Cscript%3E");
    assert!(text(&asks).contains("Leaving Freenet") && !text(&asks).contains("<script"));
    assert_eq!(page("/external-link/?to=javascript%3Aevil()").status, 404);
}

#[test]
fn styles_are_written_from_what_was_understood() {
    let css = |source: &str| text(&shown("text/css", source.as_bytes())).to_owned();
    assert_eq!(css("h1 > .a:hover{color:red;behavior:url(x);margin:1px 2px}"), "h1 > .a:hover{color:red;margin:1px 2px;}\n");
    assert_eq!(css("@import 'http://evil/';p{color:rgb(1,2,3)!important}"), "p{color:rgb(1,2,3)!important;}\n");
    assert_eq!(css("p{background:url(http://evil/a.png)} q{background:url(a.png)}"), "q{background:url(\"a.png\");}\n");
    assert_eq!(
        css("p{width:expression(evil())} @font-face{src:url(evil)} @media (max-width:9px){b{top:0}}"),
        "@media (max-width:9px){b{top:0;}\n}\n"
    );
    assert_eq!(css("p{content:'</style><script>'} q{color:red}"), "q{color:red;}\n");
    assert_eq!(css("p{color:red;background:u\\72l(http://evil/)}"), "p{color:red;}\n");
    assert_eq!(css("p{margin:a.5 1px} li:nth-child(2n+1){top:0}"), "p{margin:a 0.5 1px;}\nli:nth-child(2n +1){top:0;}\n");
    // A comment that goes must not leave one that begins.
    assert_eq!(css("p{margin://**/*;content:'*/} q{color:red}'}"), "p{margin:/ *;content:\"*/} q{color:red}\";}\n");
    check(
        "<style>p{color:red;-moz-binding:url(evil)}</style><p style='color:blue;background:url(//evil)'>x",
        &["p{color:red;}", "style=\"color:blue;\""],
        &["evil"],
    );
}

#[test]
fn strangers_have_a_policy_of_their_own() {
    let page = shown("text/html", b"hello");
    let policy = header(&page, "content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'none'") && !policy.contains("script-src"));
    assert_eq!(header(&page, "x-content-type-options"), Some("nosniff"));
    assert_eq!(header(&page, "content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(header(&page, "cache-control"), Some("private, no-store"));
}

#[test]
fn what_cannot_be_made_safe_is_kept_as_a_file_only() {
    let page = shown("application/pdf", b"%PDF");
    assert_eq!(page.status, 415);
    assert!(text(&page).contains("/KSK@page?forcedownload"));
    let want = want("/KSK@page?forcedownload");
    let page = found(&want, &want.uri, Some("text/html"), &Bytes::from_static(b"<script>"));
    assert_eq!((page.status, header(&page, "content-type")), (200, Some("application/force-download")));
    assert!(header(&page, "content-disposition").unwrap().starts_with("attachment"));
    assert_eq!(&page.body[..], b"<script>");
}

#[test]
fn sounds_and_films_are_what_they_are_and_not_what_they_say() {
    let flac = [&b"fLaC\x80\0\0\x22"[..], &[7; 34], &[0xff, 0xf8, 1, 2]].concat();
    for said in ["audio/flac", "video/mp4", "application/octet-stream"] {
        let page = shown(said, &flac);
        assert_eq!((page.status, header(&page, "content-type")), (200, Some("audio/flac")), "{said}");
        assert!(header(&page, "content-security-policy").unwrap().contains("media-src 'self'"));
    }
    assert_eq!(shown("audio/mpeg", b"<script>evil()</script>").status, 415);
    assert_eq!(shown("application/octet-stream", b"<script>evil()</script>").status, 415);
    check(
        "<video src=/KSK@film.webm poster=http://evil.example/p.png autoplay onplay=evil()><source src=//evil.example/x></video>",
        &["<video src=\"/KSK@film.webm\"", "<source>"],
        &["evil", "autoplay"],
    );
}

#[test]
fn a_link_can_say_another_type_and_is_filtered_by_it() {
    let want = want("/KSK@page?type=text/html");
    let page = found(&want, &want.uri, Some("text/plain"), &Bytes::from_static(b"<b>x</b><script>evil()</script>"));
    assert!(text(&page).contains("<b>x</b>") && !text(&page).contains("evil"));
}

fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in chunks {
        bytes.extend_from_slice(&u32::try_from(content.len()).unwrap().to_be_bytes());
        let checked: Vec<u8> = kind.iter().chain(*content).copied().collect();
        let crc = !checked.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
        });
        bytes.extend_from_slice(&checked);
        bytes.extend_from_slice(&crc.to_be_bytes());
    }
    bytes
}

#[test]
fn pictures_lose_what_they_say_of_their_makers() {
    let head: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0];
    let clean = png(&[(b"IHDR", head), (b"IDAT", b"data"), (b"IEND", b"")]);
    let mut source = png(&[(b"IHDR", head), (b"tEXt", b"me"), (b"IDAT", b"data"), (b"eXIf", b"here"), (b"IEND", b"")]);
    source.extend_from_slice(b"PK hidden");
    assert_eq!(&shown("image/png", &source).body[..], &clean[..]);
    source[20] ^= 1;
    assert_eq!(shown("image/png", &source).status, 415);

    let frame = [0xff, 0xc0, 0, 11, 8, 0, 1, 0, 1, 1, 1, 0x11, 0];
    let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 1, 2, 0xff, 0, 3, 0xff, 0xd9];
    let jpeg = |extra: &[u8]| [&[0xff, 0xd8], extra, &frame[..], &scan[..]].concat();
    let exif = [0xff, 0xe1, 0, 8, b'E', b'x', b'i', b'f', 0, 0];
    assert_eq!(&shown("image/jpeg", &[&jpeg(&exif)[..], b"tail"].concat()).body[..], &jpeg(&[])[..]);
    assert_eq!(shown("image/jpeg", b"<script>").status, 415);

    let gif = |extra: &[u8]| [b"GIF89a\x01\0\x01\0\0\0\0", extra, &[0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 1, 7, 0, 0x3b]].concat();
    assert_eq!(&shown("image/gif", &gif(b"\x21\xfe\x02hi\0")).body[..], &gif(b"")[..]);
    assert_eq!(shown("image/gif", b"GIF89a").status, 415);
}

#[test]
fn parts_of_what_was_found() {
    let part = |range: &str| shown("text/plain", b"0123456789").part(Some(range));
    let page = part("bytes=2-4");
    assert_eq!((page.status, text(&page), header(&page, "content-range")), (206, "234", Some("bytes 2-4/10")));
    assert_eq!(text(&part("bytes=-3")), "789");
    assert_eq!(text(&part("bytes=7-100")), "789");
    let page = part("bytes=10-");
    assert_eq!((page.status, header(&page, "content-range")), (416, Some("bytes */10")));
    assert_eq!(part("lines=1-2").status, 200);
    assert_eq!(part("bytes=5-2").status, 200);
}

#[test]
fn names_of_others_are_not_this_machine() {
    for ours in ["127.0.0.1:8888", "localhost:8888", "[::1]:8888", "192.0.2.7"] {
        assert!(is_our_host(ours), "{ours}");
    }
    for other in ["evil.example", "evil.example:8888", "127.0.0.1.evil.example:80", ""] {
        assert!(!is_our_host(other), "{other}");
    }
}

#[test]
fn a_site_has_links_relative_to_its_folder() {
    let (_, key) = ("", "USK@x~HJ3XGjGAbhIrpRyRvbPwyLoXbdQ~JFV0nvqPuvk1c,lTVvqEUD3UEGUtAgVWDa8i0ZLdqFQXBJf4IOhN5VgZ4,AQACAAE/site");
    let want_newest = want(&format!("/{key}/-1/"));
    let mut uri = want_newest.uri.clone();
    uri.edition = Some(3);
    let page = found(&want_newest, &uri, Some("text/html"), &Bytes::from_static(b"x"));
    assert_eq!(page.status, 302);
    assert!(header(&page, "location").unwrap().ends_with("/site/3/"));
    let bare = want(&format!("/{key}/3"));
    let page = found(&bare, &bare.uri, Some("text/html"), &Bytes::from_static(b"x"));
    assert_eq!((page.status, header(&page, "location").unwrap().ends_with("/site/3/")), (302, true));
}

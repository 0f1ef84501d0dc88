#![allow(clippy::unwrap_used)]

use super::*;

/// The document with a bar at its end.
fn ended(html: &str) -> Result<String, Reason> {
    let at = Document::read(html)?.at(Place::End)?;
    Ok(format!("{}|{}", &html[..at], &html[at..]))
}

fn topped(html: &str) -> String {
    let at = Document::read(html).unwrap().at(Place::Top).unwrap();
    format!("{}|{}", &html[..at], &html[at..])
}

#[test]
fn the_end_is_before_the_end_tag_that_counts() {
    for (html, expected) in [
        (
            "<html><body>a</body></html>\r\n",
            "<html><body>a|</body></html>\r\n",
        ),
        (
            "<BODY>ü</BODY >\r\n<!-- </body> -->",
            "<BODY>ü|</BODY >\r\n<!-- </body> -->",
        ),
        (
            "<body>a<!--[if mso]></table></body><![endif]--></div>",
            "<body>a<!--[if mso]></table></body><![endif]--></div>|",
        ),
        (
            "<body>a<script>\"</body>\"</script>\r\n",
            "<body>a<script>\"</body>\"</script>\r\n|",
        ),
        (
            "<title></body></title>a</html>",
            "<title></body></title>a|</html>",
        ),
        ("<p title='</body>'>a", "<p title='</body>'>a|"),
        (
            "a\r\n<table>\r\n</table></body>b</body>",
            "a\r\n<table>\r\n</table></body>b|</body>",
        ),
        ("<head><body>a</body>", "<head><body>a|</body>"),
        ("<noscript><img></noscript>", "<noscript><img></noscript>|"),
        ("<svg><path/></svg>a", "<svg><path/></svg>a|"),
    ] {
        assert_eq!(ended(html).as_deref(), Ok(expected));
    }
}

#[test]
fn where_the_end_is_not_certain_there_is_none() {
    for html in [
        "a<!-- open",
        "a<script>open",
        "a<style></body>",
        "a<textarea>",
        "a<p title='",
        "<table><tr><td>a</body>",
        "<select></body>",
        "<svg><style></body></style></svg>",
        "<svg><![CDATA[</body>]]></svg>",
        "<frameset></frameset>",
        "a<plaintext></body>",
        "<template></body>",
    ] {
        assert!(
            matches!(ended(html), Err(Reason::Html(_))),
            "{html}: {:?}",
            ended(html)
        );
    }
}

#[test]
fn the_top_is_the_first_thing_that_is_shown() {
    for (html, expected) in [
        (
            "<!DOCTYPE html>\r\n<html><head><style>p{}</style></head>\r\n<body bgcolor=x>\r\na",
            "<!DOCTYPE html>\r\n<html><head><style>p{}</style></head>\r\n<body bgcolor=x>|\r\na",
        ),
        ("<meta charset=x>\r\n<p>a", "<meta charset=x>\r\n|<p>a"),
        ("hello", "|hello"),
        ("<!-- c --> <div>", "<!-- c --> |<div>"),
    ] {
        assert_eq!(topped(html), expected);
    }
}

#[test]
fn the_names_of_charsets_are_found() {
    let names = |html: &str| -> Vec<String> {
        let document = Document::read(html).unwrap();
        let places = document.charsets().unwrap().to_vec();
        places
            .into_iter()
            .map(|place| html[place].to_owned())
            .collect()
    };
    assert_eq!(names("<meta charset=\"iso-8859-2\">"), ["iso-8859-2"]);
    assert_eq!(names("<meta  CHARSET = utf-8 >"), ["utf-8"]);
    assert_eq!(
        names("<meta content='text/html; Charset=windows-1252' http-equiv=Content-Type />"),
        ["windows-1252"]
    );
    assert_eq!(
        names("<?xml version=\"1.0\" encoding=\"koi8-r\"?><p>"),
        ["koi8-r"]
    );
    assert!(names("<meta name=x content='charset=y'><!-- <meta charset=z> -->").is_empty());
}

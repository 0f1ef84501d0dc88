//! What an operator should do about a sink that cannot be reached, where the reason is in a library's words.

/// What to do; `None` where the reason says it by itself. `endpoint` as it is configured.
#[must_use]
pub(crate) fn for_failure(endpoint: &str, why: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let tls = endpoint.starts_with("https://");
    Some(
        if !tls && says(&["frame with invalid size", "invalid HTTP", "http2 error"]) {
            "what answers there speaks no plain HTTP/2; if it is the sink over TLS, write https://"
        } else if !tls && says(&["broken pipe", "stream closed", "connection reset"]) {
            "what answers there hangs up on plain HTTP/2; if it is the sink over TLS, write https://"
        } else if tls && says(&["InvalidContentType", "corrupt message", "received corrupt"]) {
            "what answers there speaks no TLS; if it is the sink in plain text, write http://"
        } else if says(&["CaUsedAsEndEntity"]) {
            "the sink shows the certificate of an authority as its own; issue it one that is not marked CA:TRUE"
        } else if says(&["UnknownIssuer"]) {
            "the sink's certificate leads to none of the authorities in tls.ca; name the file with the one that issued it"
        } else if says(&["NotValidForName"]) {
            "the sink's certificate is for another name; set tls.server_name to the one that it is for"
        } else if says(&["Expired", "certificate expired"]) {
            "the sink's certificate has expired; renew it"
        } else if says(&["CertificateRequired", "certificate required"]) {
            "the sink wants a certificate of ours; set tls.cert and tls.key"
        } else {
            return None;
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_libraries_come_with_what_to_do() {
        for (endpoint, why, part) in [
            (
                "http://a:1",
                "http2 error: frame with invalid size",
                "https://",
            ),
            (
                "https://a:1",
                "received corrupt message of type InvalidContentType",
                "http://",
            ),
            (
                "https://a:1",
                "invalid peer certificate: Other(CaUsedAsEndEntity)",
                "CA:TRUE",
            ),
            (
                "https://a:1",
                "invalid peer certificate: UnknownIssuer",
                "tls.ca",
            ),
            (
                "https://a:1",
                "invalid peer certificate: NotValidForName",
                "tls.server_name",
            ),
        ] {
            let advice = for_failure(endpoint, why).unwrap_or_default();
            assert!(advice.contains(part), "{why}: {advice}");
        }
        assert_eq!(for_failure("http://a:1", "connection refused"), None);
    }
}

//! The family of the client program, from the products in its `User-Agent` (RFC 9110, 10.1.5).
//!
//! Browsers name each other: Edge sends `Chrome/… Safari/… Edg/…`, and bots send all of that. So each product
//! has a rank, and the one with the lowest rank determines the family.

/// The part of the header that is inspected. Real programs send no longer one.
const BYTES_LOOKED_AT: usize = 1024;

/// The families, in order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Bot,
    Edge,
    Opera,
    SamsungInternet,
    InternetExplorer,
    Firefox,
    Chrome,
    Safari,
    Curl,
    Wget,
    PythonRequests,
    ApiClient,
    Other,
}

impl Family {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bot => "bot",
            Self::Edge => "Edge",
            Self::Opera => "Opera",
            Self::SamsungInternet => "Samsung Internet",
            Self::InternetExplorer => "Internet Explorer",
            Self::Firefox => "Firefox",
            Self::Chrome => "Chrome",
            Self::Safari => "Safari",
            Self::Curl => "curl",
            Self::Wget => "Wget",
            Self::PythonRequests => "Python requests",
            Self::ApiClient => "API client",
            Self::Other => "other",
        }
    }
}

/// Products in lower case, sorted.
const PRODUCTS: &[(&str, Family)] = &[
    ("aiohttp", Family::ApiClient),
    ("apache-httpclient", Family::ApiClient),
    ("aws-cli", Family::ApiClient),
    ("aws-sdk-java", Family::ApiClient),
    ("axios", Family::ApiClient),
    ("boto3", Family::ApiClient),
    ("botocore", Family::ApiClient),
    ("chrome", Family::Chrome),
    ("chromium", Family::Chrome),
    ("crios", Family::Chrome),
    ("curl", Family::Curl),
    ("edg", Family::Edge),
    ("edga", Family::Edge),
    ("edge", Family::Edge),
    ("edgios", Family::Edge),
    ("facebookexternalhit", Family::Bot),
    ("firefox", Family::Firefox),
    ("fxios", Family::Firefox),
    ("go-http-client", Family::ApiClient),
    ("google-inspectiontool", Family::Bot),
    ("guzzlehttp", Family::ApiClient),
    ("headlesschrome", Family::Bot),
    ("httpie", Family::ApiClient),
    ("httpx", Family::ApiClient),
    ("ia_archiver", Family::Bot),
    ("insomnia", Family::ApiClient),
    ("java", Family::ApiClient),
    ("libcurl", Family::Curl),
    ("mediapartners-google", Family::Bot),
    ("msie", Family::InternetExplorer),
    ("node", Family::ApiClient),
    ("node-fetch", Family::ApiClient),
    ("okhttp", Family::ApiClient),
    ("opera", Family::Opera),
    ("opr", Family::Opera),
    ("phantomjs", Family::Bot),
    ("postmanruntime", Family::ApiClient),
    ("powershell", Family::ApiClient),
    ("python", Family::ApiClient),
    ("python-requests", Family::PythonRequests),
    ("python-urllib", Family::ApiClient),
    ("requests", Family::PythonRequests),
    ("reqwest", Family::ApiClient),
    ("safari", Family::Safari),
    ("samsungbrowser", Family::SamsungInternet),
    ("slurp", Family::Bot),
    ("trident", Family::InternetExplorer),
    ("trino-cli", Family::ApiClient),
    ("undici", Family::ApiClient),
    ("wget", Family::Wget),
];

/// The length of the longest known product.
const PRODUCT_BYTES_MAX: usize = 48;

/// The family of a `User-Agent`.
pub(crate) fn family(text: &[u8]) -> Family {
    let text = &text[..text.len().min(BYTES_LOOKED_AT)];
    // The only product of two words.
    let two_words = b"API Client/";
    if text.get(..two_words.len()).is_some_and(|start| start.eq_ignore_ascii_case(two_words)) {
        return Family::ApiClient;
    }
    let words = text.split(|byte| matches!(byte, b' ' | b';' | b'(' | b')' | b','));
    words.map(of_product).min().unwrap_or(Family::Other)
}

/// The family of one word: `Chrome/120.0`, `bingbot/2.0`.
fn of_product(word: &[u8]) -> Family {
    if !word.first().is_some_and(u8::is_ascii_alphabetic) {
        return Family::Other;
    }
    let product = word.split(|&byte| byte == b'/').next().unwrap_or(word);
    let mut lower = [0; PRODUCT_BYTES_MAX];
    let Some(lower) = lower.get_mut(..product.len()) else {
        return Family::Other;
    };
    lower.copy_from_slice(product);
    lower.make_ascii_lowercase();
    let lower = &*lower;
    if is_bot(lower) {
        return Family::Bot;
    }
    // Numbers compare faster than text, and few products share a prefix.
    let start = start_of(lower);
    let first = STARTS.partition_point(|other| *other < start);
    let same = STARTS.iter().zip(PRODUCTS).skip(first).take_while(|(other, _)| **other == start);
    let mut found = same.filter(|(_, (name, _))| name.as_bytes() == lower);
    found.next().map_or(Family::Other, |(_, (_, family))| *family)
}

/// The first eight bytes of each product, in the same order.
const STARTS: [u64; PRODUCTS.len()] = {
    let mut starts = [0; PRODUCTS.len()];
    let mut at = 0;
    while at < starts.len() {
        starts[at] = start_of(PRODUCTS[at].0.as_bytes());
        at += 1;
    }
    starts
};

/// The first eight bytes as a number with the same order.
const fn start_of(product: &[u8]) -> u64 {
    let (mut start, mut at) = (0, 0);
    while at < 8 {
        let byte = if at < product.len() { product[at] } else { 0 };
        start = start << 8 | byte as u64;
        at += 1;
    }
    start
}

/// `Googlebot`, `AdsBot-Google`, `Baiduspider`. A Cubot phone is not a bot.
fn is_bot(product: &[u8]) -> bool {
    let is_named = product.split(|&byte| byte == b'-').any(|part| part.ends_with(b"bot"));
    (is_named && product != b"cubot")
        || product.ends_with(b"spider")
        || product.ends_with(b"crawler")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_in_lower_case() {
        assert!(PRODUCTS.is_sorted_by(|a, b| a.0 < b.0));
        for (name, _) in PRODUCTS {
            assert!(name.len() <= PRODUCT_BYTES_MAX && *name == name.to_ascii_lowercase());
        }
    }

    #[test]
    fn families() {
        let webkit =
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)";
        let iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
        let cases = [
            // As the audit-trail pattern writes them.
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0", "Chrome"),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari/17.0", "Safari"),
            ("API Client/1.0", "API client"),
            ("Python/3.9 requests/2.28.0", "Python requests"),
            (&format!("{webkit} Chrome/120.0.0.0 Safari/537.36"), "Chrome"),
            (&format!("{webkit} Chrome/120.0.0.0 Safari/537.36 Edg/120.0.0.0"), "Edge"),
            (&format!("{webkit} Chrome/64.0 Safari/537.36 Edge/17.17134"), "Edge"),
            (&format!("{webkit} Chrome/120.0.0.0 Safari/537.36 OPR/106.0.0.0"), "Opera"),
            (
                &format!("{webkit} SamsungBrowser/23.0 Chrome/115.0 Mobile Safari/537.36"),
                "Samsung Internet",
            ),
            (&format!("{webkit} HeadlessChrome/120.0.0.0 Safari/537.36"), "bot"),
            (&format!("{iphone} Version/17.0 Mobile/15E148 Safari/604.1"), "Safari"),
            (&format!("{iphone} CriOS/120.0 Mobile/15E148 Safari/604.1"), "Chrome"),
            (&format!("{iphone} FxiOS/120.0 Mobile/15E148 Safari/605.1.15"), "Firefox"),
            (&format!("{iphone} EdgiOS/120.0 Version/17.0 Mobile/15E148 Safari/604.1"), "Edge"),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0", "Firefox"),
            (
                "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
                "Internet Explorer",
            ),
            ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)", "Internet Explorer"),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot"),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://x) Chrome/120.0 Safari/537.36",
                "bot",
            ),
            ("AdsBot-Google (+http://www.google.com/adsbot.html)", "bot"),
            ("Mozilla/5.0 (compatible; Baiduspider/2.0)", "bot"),
            (
                "Mozilla/5.0 (Linux; Android 12; CUBOT X50) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
                "Chrome",
            ),
            ("curl/8.5.0", "curl"),
            ("CURL/8.5.0", "curl"),
            ("Wget/1.21.4", "Wget"),
            ("python-requests/2.31.0", "Python requests"),
            ("Python-urllib/3.11", "API client"),
            ("Python/3.11 aiohttp/3.9.1", "API client"),
            ("okhttp/4.12.0", "API client"),
            ("Go-http-client/2.0", "API client"),
            ("PostmanRuntime/7.36.0", "API client"),
            ("aws-cli/2.15.0 Python/3.11.6 Linux/6.1 botocore/2.4.5", "API client"),
            ("Mozilla/5.0", "other"),
            ("chrome-lookalike/1.0", "other"),
            ("robots", "other"),
            ("", "other"),
            ("///;;;(((", "other"),
        ];
        for (text, expected) in cases {
            assert_eq!(family(text.as_bytes()).name(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_long_is_looked_at_in_part() {
        let mut text = "x".repeat(1 << 20);
        text.insert_str(0, "Firefox/121.0 ");
        text.push_str(" curl/8");
        assert_eq!(family(text.as_bytes()), Family::Firefox);
        assert_eq!(family(&[0xff; 4096]), Family::Other);
    }
}

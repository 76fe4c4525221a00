//! Giving a client its token: rdkafka has a callback for it, which is called only by who polls a client in its way.

use std::ffi::{CStr, CString, c_char};

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};

/// What librdkafka says when it does not take a token.
const PROBLEM_BYTES_MAX: usize = 512;

/// A token, and until when it is valid. It is a secret, so it has no `Debug`.
pub(crate) struct Token {
    pub(crate) text: String,
    /// Milliseconds since 1970.
    pub(crate) expires_ms: i64,
    /// Who sends it. librdkafka wants a name, and brokers read none but that in the token.
    pub(crate) principal: String,
}

/// The client uses the token for every connection from now on, and to log in again where the broker wants that.
pub(crate) fn set_token<C: ClientContext>(client: &Client<C>, token: &Token) -> Result<(), String> {
    let no_text = |_| "it holds a zero byte".to_owned();
    let text = CString::new(token.text.as_str()).map_err(no_text)?;
    let principal = CString::new(token.principal.as_str()).map_err(no_text)?;
    let mut problem: [c_char; PROBLEM_BYTES_MAX] = [0; PROBLEM_BYTES_MAX];
    // SAFETY: the client and the strings are alive for the call, which copies them; `problem` has room for as many
    // bytes as are passed, and is NUL-terminated by the call.
    let code = unsafe {
        sys::rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            text.as_ptr(),
            token.expires_ms,
            principal.as_ptr(),
            std::ptr::null_mut(),
            0,
            problem.as_mut_ptr(),
            problem.len(),
        )
    };
    if code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    // SAFETY: as above.
    let problem = unsafe { CStr::from_ptr(problem.as_ptr()) };
    Err(problem.to_string_lossy().into_owned())
}

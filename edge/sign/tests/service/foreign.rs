//! The messages of GB/T 38629 as another reads the standard: a client in another language, without a line of ours.

use crate::site::Site;

/// Rows: AP-242, AP-244, AP-245
#[tokio::test]
async fn a_client_in_another_language_reads_the_standard_the_same_way() {
    let site = Site::new(&["sm2"]);
    site.write("foreign.py", include_str!("foreign.py"));
    site.write("client.pem", &site.pem);
    let port = site.port.to_string();
    let said = site.must("python3", &["foreign.py", &port, "client.pem", "."]);
    assert_eq!(said.trim(), "agreed");
}

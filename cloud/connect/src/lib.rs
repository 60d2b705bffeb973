//! Adapters to third parties. The ports belong to the contexts that need them ([`money::channel::Channel`],
//! [`base::SmsSender`]); a vendor's words, codes and signatures stay in its folder here.

pub mod tencent_sms;
pub mod wechat_pay;

package webhooks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/parley-engine/parley/domain/conversation"
	"github.com/parley-engine/parley/events"
)

func TestKeywordsOfAllScripts(t *testing.T) {
	w := newWorld(t)
	ch := w.conversation(conversation.Create{})
	for _, row := range []struct {
		keyword string
		yes, no []string
	}{
		{"退会", []string{"退会したいです", "会員を退会", "退会", "please退会now", "退会2"}, []string{"退社"}},
		{"サーバー", []string{"サーバーが落ちた", "新サーバー"}, []string{"サーバ"}},
		{"メール", []string{"電子メールを"}, nil},
		{"ช่วย", []string{"ขอความช่วยเหลือ", "ช่วย"}, []string{"ชวย"}},
		{"ช", []string{"ชวย"}, []string{"ช่วย"}}, // not without its tone
		{"ជួយ", []string{"សូមជួយខ្ញុំ"}, nil},
		{"ကူညီ", []string{"ကျွန်တော့်ကိုကူညီပါ"}, nil},
		{"ຊ່ວຍ", []string{"ກະລຸນາຊ່ວຍຂ້ອຍ"}, nil},
		{"退会 now", []string{"退会  NOW!"}, []string{"退会 nowadays"}},
		{"help退会", []string{"help退会する", "my help退会"}, []string{"whelp退会"}},
		{"👍", []string{"👍", "ok👍", "👍👍👍", "👍ok", "👍🏽", "a 👍\ufe0f b"}, []string{"👎"}},
		{"❤️", []string{"❤", "I❤you"}, []string{"❤\ufe0f\u200d🔥"}},
		{"👩", []string{"👩"}, []string{"👨\u200d👩\u200d👧"}},
		{"1", []string{"1", "退会1"}, []string{"1\ufe0f\u20e3", "12"}},
		{"c++", []string{"use c++11"}, []string{"objc++"}},
		{"#stop", []string{"please#stop"}, []string{"#stops"}},
		{"über", []string{"u\u0308ber", "ÜBER", "U\u0308BER alles"}, []string{"über\u0308", "uber"}},
		{"u\u0308ber", []string{"über", "ÜBER"}, nil},
		{"straße", []string{"STRASSE", "Straße"}, []string{"Straßenbahn"}},
		{"ΣΟΦΟΣ", []string{"σοφος", "σοφοσ"}, nil},
		{"помощь", []string{"ПОМОЩЬ!"}, []string{"помощью"}},
		{"مساعدة", []string{"أريد مساعدة."}, []string{"المساعدة"}},
		{"می", []string{"می\u200bخواهم"}, []string{"می\u200cخواهم", "می\u200dخواهم"}},
		{"मदद", []string{"मदद करो"}, []string{"मददगार", "मददा"}},
		{"도움", []string{"도움!", "\u1103\u1169\u110b\u116e\u11b7"}, []string{"도움이"}},
		{"help", []string{"❤️help", "退会helpください", "\u200bhelp\u200b", "\u200fhelp\u200f!"}, []string{"e\u0301help", "help\u00adless"}},
	} {
		wh := w.attach(ch, events.Webhook{Target: "trigger", URL: "http://t.example/", Triggers: []string{row.keyword}})
		for _, body := range row.yes {
			w.must(ch, conversation.AddMessage{Body: body})
			require.Len(t, w.told(), 1, "%+q in %+q", row.keyword, body)
		}
		for _, body := range row.no {
			w.must(ch, conversation.AddMessage{Body: body})
			require.Empty(t, w.told(), "%+q in %+q", row.keyword, body)
		}
		w.must(ch, conversation.RemoveWebhook{WebhookSid: wh})
		w.told()
	}
}

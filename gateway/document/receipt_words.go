package document

import "cryptogramm.ru/cryptogramm/store/rem"

// receiptWords are the strings that only receipts need.
type receiptWords struct {
	Of, What, When, Detail, ToDo, More string
	OwnSignature                       string
	Proof, ProofIntro, TooLarge        string
	Event, Salt, Digest                string
	Signed, SignedIntro                string
	DelayTitle, DelayText, DelayTries  string
	DelayError                         string

	Titles map[rem.Event]sentence // what has happened, and what it means for the sender
	Advice map[rem.Reason]string  // what to do about a refusal
}

func russianReceipt() receiptWords {
	return receiptWords{
		Of: "Квитанция №", What: "Событие", When: "Время события", Detail: "Подробности (на английском)", ToDo: "Что делать",
		More: "не показано ещё:", OwnSignature: "Подпись получателя под протоколом проверки",
		Proof:       "Запись о событии",
		ProofIntro:  "К письму приложена запись шлюза об этом событии. Контрольная сумма — SHA-256 от соли и точных байтов записи (значение «record» в приложенном файле). Она хранится в шлюзе отдельно от записи и не изменяется. Проверить файл можно без шлюза:",
		TooLarge:    "Запись об этом событии слишком велика для письма, поэтому не приложена; она хранится в шлюзе. Контрольная сумма — SHA-256 от соли и точных байтов записи.",
		Event:       "Событие (EN 319 522)",
		Salt:        "Соль",
		Digest:      "Контрольная сумма",
		Signed:      "Подпись шлюза",
		SignedIntro: "Это письмо вместе с приложением подписано сертификатом шлюза (S/MIME): почтовая программа показывает, чья это подпись и верна ли она. Если письмо сохранено в файле receipt.eml, а сертификат удостоверяющего центра — в файле ca.pem, подпись можно проверить и программой OpenSSL:",
		DelayTitle:  "Уведомление пока не доставлено",
		DelayText:   "Доставить получателю уведомление со ссылкой пока не удаётся. Делать ничего не нужно: попытки продолжаются. О том, доставлено ли уведомление, придёт отдельная квитанция.",
		DelayTries:  "Попытки продолжаются до",
		DelayError:  "Последняя ошибка (на английском)",
		Titles: map[rem.Event]sentence{
			rem.SubmissionAcceptance:             {"Письмо принято", "Шлюз проверил подписи и принял письмо. Каждому получателю направляется уведомление со ссылкой; обо всём, что произойдёт дальше, придут отдельные квитанции."},
			rem.SubmissionRejection:              {"Письмо не отправлено", "Шлюз не принял письмо. Получателям ничего не отправлено. Ниже указано, что именно не прошло проверку и что можно сделать."},
			rem.SignatureRecheck:                 {"Подписи проверены повторно", "Письмо было принято, хотя тогда не удалось узнать, не отозваны ли сертификаты. Теперь подписи проверены ещё раз; результат указан ниже."},
			rem.NotificationForAcceptance:        {"Получатель уведомлён", "Уведомление со ссылкой доставлено в почтовый ящик получателя или принято почтовым сервером для доставки. Это ещё не означает, что получатель прочитал его или получил файлы."},
			rem.NotificationForAcceptanceFailure: {"Уведомление не доставлено", "Доставить получателю уведомление со ссылкой не удалось, попытки прекращены. Проверьте адрес и отправьте письмо ещё раз либо свяжитесь с получателем другим способом."},
			rem.ConsignmentAcceptance:            {"Получатель принял отправление", "Получатель подтвердил, что принимает отправление."},
			rem.ContentHandover:                  {"Файлы вручены получателю", "Файлы помещены в папку «Полученные» получателя, он может их открыть."},
			rem.AcceptanceRejectionExpiry:        {"Срок получения истёк", "Пока действовала ссылка, получатель не подтвердил получение. Файлы ему не вручены, ссылка больше не действует. Если нужно, отправьте письмо ещё раз."},
			rem.RecipientVerification:            {"Получатель проверил подписи", "Получатель проверил подписи ещё раз и подписал протокол проверки, использовав свой сертификат. Шлюз проверил эту подпись."},
		},
		Advice: map[rem.Reason]string{
			rem.ReasonSignatureFailed:   "Подпишите неизменённый документ заново и отправьте письмо ещё раз.",
			rem.ReasonCertificateTime:   "Подпишите с использованием сертификата, который действует сейчас.",
			rem.ReasonSignerNotSender:   "Подпишите с использованием своего сертификата либо зарегистрируйте этот сертификат в личном кабинете.",
			rem.ReasonSignerUnbound:     "Зарегистрируйте этот сертификат в личном кабинете и отправьте письмо ещё раз.",
			rem.ReasonNotCovered:        "Подпишите каждый документ или всё письмо целиком.",
			rem.ReasonUntrusted:         "Используйте сертификат удостоверяющего центра, которому доверяет шлюз, и включите в подпись цепочку сертификатов.",
			rem.ReasonNoSignedAttrs:     "Создайте подпись с подписанными атрибутами: CAdES-BES или S/MIME.",
			rem.ReasonUnsupported:       "Подпишите с использованием RSA (не менее 2048 бит), ECDSA или Ed25519 и хеш-функции SHA-2.",
			rem.ReasonNoCertificate:     "Включите свой сертификат в подпись.",
			rem.ReasonNoContent:         "Приложите подписанный файл рядом с подписью под тем же именем.",
			rem.ReasonFrom:              "Укажите в поле From один адрес — принадлежащий вашей учётной записи.",
			rem.ReasonRevocationUnknown: "Отправьте письмо позже.",
			rem.ReasonUnsigned:          "Включите в почтовой программе подпись S/MIME либо приложите к каждому файлу отсоединённую подпись (.p7s, .sig).",
			rem.ReasonEncrypted:         "Отправьте письмо подписанным, но не зашифрованным.",
			rem.ReasonMalformed:         "Составьте письмо заново, без лишних вложенных частей, и отправьте ещё раз.",
		},
	}
}

func englishReceipt() receiptWords {
	return receiptWords{
		Of: "Receipt No.", What: "Event", When: "Time of the event", Detail: "Detail", ToDo: "What to do",
		More: "not shown here:", OwnSignature: "The recipient's signature over the protocol",
		Proof:       "Record of the event",
		ProofIntro:  "The gateway's record of this event is attached. The digest is SHA-256 of the salt and the exact bytes of the record (the value of \"record\" in the attached file). The gateway keeps it apart from the record and never changes it. The file can be checked without the gateway:",
		TooLarge:    "The record of this event is too large for a mail and is not attached; the gateway keeps it. The digest is SHA-256 of the salt and the exact bytes of the record.",
		Event:       "Event (EN 319 522)",
		Salt:        "Salt",
		Digest:      "Digest",
		Signed:      "The gateway's signature",
		SignedIntro: "This mail and its attachment are signed with the gateway's certificate (S/MIME): your mail program shows whose signature it is and whether it is right. With the mail saved as receipt.eml and the authority's certificate as ca.pem, OpenSSL checks it too:",
		DelayTitle:  "Notice not delivered yet",
		DelayText:   "The notice with the link could not be delivered to the recipient so far. You need not do anything: it is being tried again. A receipt of its own will say whether it was delivered.",
		DelayTries:  "Tried until",
		DelayError:  "Last error",
		Titles: map[rem.Event]sentence{
			rem.SubmissionAcceptance:             {"Letter accepted", "The gateway has checked the signatures and accepted the letter. Every recipient is being sent a notice with a link; a receipt of its own follows for everything that happens next."},
			rem.SubmissionRejection:              {"Letter not sent", "The gateway has not accepted the letter. Nothing was sent to the recipients. What did not pass, and what you can do about it, is said below."},
			rem.SignatureRecheck:                 {"Signatures checked again", "The letter was accepted although it could not be found out then whether the certificates were revoked. The signatures have now been checked again, with the result given below."},
			rem.NotificationForAcceptance:        {"Recipient notified", "The notice with the link has been put into the recipient's mailbox or taken over by a mail server for delivery. It does not yet mean that he has read it or received the files."},
			rem.NotificationForAcceptanceFailure: {"Notice not delivered", "The notice with the link could not be delivered to the recipient and is not tried any more. Check the address and send the letter again, or reach the recipient by other means."},
			rem.ConsignmentAcceptance:            {"Recipient accepted", "The recipient has confirmed that he accepts the consignment."},
			rem.ContentHandover:                  {"Files handed over", "The files are in the recipient's \"Received\" folder, and he can open them."},
			rem.AcceptanceRejectionExpiry:        {"Not received in time", "The recipient did not confirm receipt while the link worked. The files were not handed over, and the link works no more. Send the letter again if you need to."},
			rem.RecipientVerification:            {"Recipient checked the signatures", "The recipient has checked the signatures again and signed the protocol of the check with a certificate of his own. The gateway has checked that signature."},
		},
		Advice: map[rem.Reason]string{
			rem.ReasonSignatureFailed:   "Sign the unchanged document again and resend the letter.",
			rem.ReasonCertificateTime:   "Sign with a certificate that is valid now.",
			rem.ReasonSignerNotSender:   "Sign with your own certificate, or register this one in your cabinet.",
			rem.ReasonSignerUnbound:     "Register this certificate in your cabinet, then resend the letter.",
			rem.ReasonNotCovered:        "Sign every document of the letter, or the whole letter.",
			rem.ReasonUntrusted:         "Use a certificate of an authority this gateway trusts and include its chain in the signature.",
			rem.ReasonNoSignedAttrs:     "Sign with signed attributes: CAdES-BES or S/MIME.",
			rem.ReasonUnsupported:       "Sign with RSA (2048 bits or more), ECDSA or Ed25519 and SHA-2.",
			rem.ReasonNoCertificate:     "Include your certificate in the signature.",
			rem.ReasonNoContent:         "Attach the signed file beside its signature, under the same name.",
			rem.ReasonFrom:              "Use one From address, one that belongs to your account.",
			rem.ReasonRevocationUnknown: "Send the letter later.",
			rem.ReasonUnsigned:          "Turn on S/MIME signing in your mail program, or attach a detached signature (.p7s, .sig) beside each file.",
			rem.ReasonEncrypted:         "Send the letter signed, not encrypted.",
			rem.ReasonMalformed:         "Write the letter anew, without needlessly nested parts, and resend it.",
		},
	}
}

"""Messages to be traced: an honest one, and what a test needs to change one line of it."""

from __future__ import annotations

# By Gmail, through Postfix with a filter on its own machine, an Exim relay, to Dovecot.
HONEST = b"""\
Return-Path: <alice@gmail.com>
Delivered-To: bob@univ.example.fr
Received: from mx.univ.example.fr ([192.168.7.1])
	by imap.univ.example.fr with LMTP id aBcDeF
	for <bob@univ.example.fr>; Mon, 02 Mar 2026 10:00:10 +0100
Received: from gate.univ.example.fr ([193.51.24.2]:41022)
	by mx.univ.example.fr with esmtps  (TLS1.2) tls TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
	(Exim 4.96)
	(envelope-from <alice@gmail.com>)
	id 1vwzGn-0000Ab-2f
	for bob@univ.example.fr;
	Mon, 02 Mar 2026 10:00:09 +0100
Received: from localhost (localhost [127.0.0.1])
	by gate.univ.example.fr (Postfix) with ESMTP id 4F1B2C0D
	for <bob@univ.example.fr>; Mon,  2 Mar 2026 10:00:08 +0100 (CET)
Received: from gate.univ.example.fr ([127.0.0.1])
	by localhost (gate.univ.example.fr [127.0.0.1]) (amavisd-new, port 10024)
	with ESMTP id uctqB4e33R6B for <bob@univ.example.fr>;
	Mon,  2 Mar 2026 10:00:07 +0100 (CET)
Received: from mail-wr1-f41.google.com (mail-wr1-f41.google.com [209.85.221.41])
	(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)
	key-exchange X25519 server-signature RSA-PSS (2048 bits))
	(No client certificate requested)
	by gate.univ.example.fr (Postfix) with ESMTPS id 4F1B2C0A
	for <bob@univ.example.fr>; Mon,  2 Mar 2026 10:00:06 +0100 (CET)
Received: by mail-wr1-f41.google.com with SMTP id ffacd0b85a97d-439b2d6a5f7so1234567f8f.1
        for <bob@univ.example.fr>; Mon, 02 Mar 2026 01:00:05 -0800 (PST)
Received: from [192.168.1.20] (lfbn-idf1-1-2-3.w90-1.abo.wanadoo.fr. [90.1.2.3])
        by smtp.gmail.com with ESMTPSA id 5b1f17b1804b1-483c3b3b3b3sm1234567.5
        for <bob@univ.example.fr>
        (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 bits=128/128);
        Mon, 02 Mar 2026 01:00:04 -0800 (PST)
Message-ID: <4c7b8a@gmail.com>
Date: Mon, 2 Mar 2026 10:00:01 +0100
User-Agent: Mozilla Thunderbird
From: Alice <alice@gmail.com>
To: bob@univ.example.fr
Subject: A letter

Hello.
"""

GMAIL = b"from mail-wr1-f41.google.com (mail-wr1-f41.google.com [209.85.221.41])"


def changed(old: bytes, new: bytes, message: bytes = HONEST) -> bytes:
    """The message with one place of it changed."""
    assert message.count(old) == 1, old
    return message.replace(old, new)


def one_hop(received: str, others: str = "") -> bytes:
    """A message with one Received line of this value."""
    return (f"Received: {received}\n{others}From: a@sender.example.com\n"
            "Date: Mon, 2 Mar 2026 10:00:00 +0100\n\n").encode()

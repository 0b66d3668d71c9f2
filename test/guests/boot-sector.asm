; The guests in boot-sector.ts: nasm -f bin [-dSTUBBORN | -dQUICK | -dLATE | -dWRITER | -dPAINTER] boot-sector.asm
; They say EZVM-UP on COM1. Then the plain one waits for the ACPI power button and powers off, STUBBORN ignores the
; button, QUICK powers off at once, LATE looks at the button only after two seconds, WRITER writes the second sector of
; the disk it came from and waits like the plain one, and so does PAINTER, which before that paints four rectangles of 320x240:
; red, green, blue and white, by the registers that Bochs and all of QEMU's cards with VGA have.
; SeaBIOS puts the power management registers at port 0x600 on both pc and q35.

PM1_STATUS  equ 0x600
PM1_ENABLE  equ 0x602
PM1_CONTROL equ 0x604
POWER_BUTTON equ 0x100
SLEEP_NOW   equ 0x2000
COM1        equ 0x3f8
COM1_STATUS equ 0x3fd

bits 16
org 0x7c00

        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7c00
        cld
        sti

%ifdef PAINTER
        mov     si, mode
        mov     cx, 5
set:    lodsw
        call    vbe
        lodsw
        inc     dx
        out     dx, ax
        loop    set
        mov     ax, 0xa000
        mov     es, ax
        xor     di, di
        xor     bp, bp
        xor     bx, bx
row:    xor     cx, cx
; The colour's number: 1 for the right half, 2 for the lower one.
pixel:  xor     si, si
        cmp     cx, 320
        jb      left
        add     si, 4
left:   cmp     bp, 240
        jb      upper
        add     si, 8
upper:  mov     eax, [si + colours]
        stosd
        or      di, di
        jnz     same
; The window of 64 KiB is full.
        inc     bx
        mov     ax, 5
        call    vbe
        inc     dx
        mov     ax, bx
        out     dx, ax
same:   inc     cx
        cmp     cx, 640
        jb      pixel
        inc     bp
        cmp     bp, 480
        jb      row
%endif

        mov     si, text
write:  lodsb
        or      al, al
        jz      written
        mov     cl, al
busy:   mov     dx, COM1_STATUS
        in      al, dx
        and     al, 0x20
        jz      busy
        mov     al, cl
        mov     dx, COM1
        out     dx, al
        jmp     write
written:

%ifdef WRITER
        mov     ax, 0x4300
        mov     dl, 0x80
        mov     si, packet
        int     0x13
%endif

%ifdef LATE
        mov     cx, 36
early:  hlt
        loop    early
%endif

%ifndef STUBBORN
%ifndef QUICK
        mov     dx, PM1_ENABLE
        mov     ax, POWER_BUTTON
        out     dx, ax
; The timer's interrupt ends each halt, 18 times a second.
halt:   hlt
        mov     dx, PM1_STATUS
        in      ax, dx
        test    ax, POWER_BUTTON
        jz      halt
%endif
        mov     dx, PM1_CONTROL
        mov     ax, SLEEP_NOW
        out     dx, ax
%endif

idle:   hlt
        jmp     idle

%ifdef PAINTER
; Chooses one of the card's registers.
vbe:    mov     dx, 0x1ce
        out     dx, ax
        ret
; Off, 640, 480, 32 bits, on.
mode:   dw      4, 0, 1, 640, 2, 480, 3, 32, 4, 1
colours: dd     0xff0000, 0x00ff00, 0x0000ff, 0xffffff
%endif

text:   db      "EZVM-UP", 13, 10, 0
%ifdef WRITER
align 4
packet: db      16, 0
        dw      1, 0x7c00, 0
        dq      1
%endif
